// The calls to Cloudflare's API before the stand-in: pages, asking again, what is not known to have been carried out.
import { expect, test } from "vitest";
import {
  cloudflareStandIn,
  standInAccount,
  standInToken,
  type StandInOptions,
} from "../../test/support/cloudflare-stand-in.ts";
import { cloudflareAccount } from "./cloudflare.ts";
import { explainOutput } from "./explain.ts";

function scene(options: StandInOptions = {}) {
  const standIn = cloudflareStandIn(options);
  const slept: number[] = [];
  const account = cloudflareAccount({
    ...{ account: standInAccount, token: standInToken, fetch: standIn.fetch },
    sleep: (ms) => Promise.resolve(slept.push(ms)),
  });
  return { standIn, account, slept };
}

const broken = (status: number, headers: Record<string, string> = {}) =>
  new Response("<html>no JSON</html>", { status, headers });

test("lists are read to their last page, by number and by cursor", async () => {
  const { account, standIn } = scene({ pageSize: 2 });
  const names = Array.from({ length: 5 }, (_, at) => `n-${at}`);
  for (const name of names) {
    await account.makeBucket(name);
    await account.makeNamespace(name);
    await account.makeQueue(name);
    await account.makeDatabase(name);
  }
  standIn.asked.length = 0;
  expect(await account.buckets()).toEqual(names);
  expect(Object.keys(await account.namespaces())).toEqual(names);
  expect((await account.queues()).map(({ name }) => name)).toEqual(names);
  expect(await account.databaseId("n-4")).toMatch(/^[0-9a-f-]{36}$/);
  expect(standIn.asked).toHaveLength(12);
});

test.each([429, 500, 503])("%s: it is asked again, as late as the API says", async (status) => {
  const { account, standIn, slept } = scene();
  let left = 2;
  standIn.before = () => (left-- > 0 ? broken(status, { "retry-after": "7" }) : undefined);
  expect(await account.buckets()).toEqual([]);
  expect(slept).toEqual([7000, 7000]);
});

test("an API that stays away is told, without the token", async () => {
  const { account, standIn, slept } = scene();
  standIn.before = () => broken(502);
  const error: unknown = await account.buckets().catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ next: expect.stringContaining("cloudflarestatus") as string });
  expect(String(error)).not.toContain(standInToken);
  expect(slept).toEqual([500, 1000, 2000, 4000]);
  standIn.before = () => {
    throw new TypeError("fetch failed");
  };
  await expect(account.buckets()).rejects.toThrow(/cannot be reached: fetch failed/);
});

test("a call that was carried out and not answered makes one thing, not two", async () => {
  const { account, standIn } = scene();
  let lost = true;
  standIn.after = ({ method }) => {
    if (method !== "POST" || !lost) return;
    lost = false;
    throw new TypeError("the connection broke");
  };
  const id = await account.makeDatabase("one");
  expect(standIn.storage.databases.get("one")?.uuid).toBe(id);
  expect(standIn.storage.databases.size).toBe(1);
  // Made by another run in the meantime: it is taken as it is.
  expect(await account.makeDatabase("one")).toBe(id);
});

test("tokens: one that is unknown, one of the account, an account that it does not see", async () => {
  const { standIn, account } = scene({ plan: "workers_free" });
  const other = (token: string, id = standInAccount) =>
    cloudflareAccount({ account: id, token, fetch: standIn.fetch });
  await expect(other("wrong").check()).rejects.toThrow(/no token that Cloudflare knows/);
  await expect(other(standInToken, "another").check()).rejects.toThrow(/CLOUDFLARE_ACCOUNT_ID/);
  expect(await account.check()).toEqual({ name: "Acme", plan: "free" });
  standIn.before = ({ path }) =>
    path === "user/tokens/verify"
      ? Response.json(
          { success: false, errors: [{ code: 1000, message: "Invalid" }] },
          { status: 401 },
        )
      : undefined;
  expect((await account.check()).name).toBe("Acme");
});

test("an answer of another form is told with its path", async () => {
  const { account, standIn } = scene();
  standIn.before = () => Response.json({ success: true, result: { subdomain: 7 } });
  await expect(account.subdomain()).rejects.toThrow(/\/workers\/subdomain in a form .*subdomain/);
});

test("what wrangler prints of a plan or a limit is explained; the rest is not guessed", () => {
  expect(explainOutput("CPU limits are not supported. [code: 100328]")?.message).toMatch(
    /Free plan/,
  );
  expect(explainOutput("too many [code: 10072]")?.message).toMatch(/cron triggers/);
  expect(explainOutput("syntax error [code: 10021]")).toBeUndefined();
});
