import { describe, expect, test } from "vitest";
import type { Key } from "@blip2-edge/shared/contracts/keys";
import { AppError, problemResponse } from "@blip2-edge/shared/problem";
import { keys } from "./keys.ts";

const noLimit = {
  ...{ requests_per_minute: null, inferences_per_day: null, inferences_per_month: null },
  concurrency: null,
};
const key = (id: string, more: Partial<Key> = {}): Key => ({
  ...{ id, prefix: `b2e_${id}`, tenant: "ada", name: `key ${id}`, scopes: ["infer"] },
  ...{ limits: noLimit, fetch_allow: [], no_store: false },
  ...{ created_at: "2030-01-01T00:00:00.000Z", expires_at: null, revoked_at: null },
  ...{ last_used_at: null, previous_secret_until: null },
  ...more,
});

/** Runs the command against scripted answers; tells what it said and asked. */
async function run(args: readonly string[], answer: (request: Request) => Response) {
  const requests: { method: string; url: string; body: unknown; key: string | null }[] = [];
  const [out, err]: [string[], string[]] = [[], []];
  const status = keys(args, {
    stdout: (line) => void out.push(line),
    write: (text) => void out.push(text),
    stderr: (line) => void err.push(line),
    signal: new AbortController().signal,
    env: { BLIP2_API_KEY: "admin", BLIP2_URL: "https://edge.example" },
    now: () => Date.UTC(2030, 0, 1),
    async fetch(input, init) {
      const request = new Request(input, init);
      const text = await request.clone().text();
      const { method, url, headers } = request;
      const body: unknown = text === "" ? undefined : JSON.parse(text);
      requests.push({ method, url, body, key: headers.get("authorization") });
      return answer(request);
    },
  });
  return { status: await status, requests, out, err };
}

describe("create", () => {
  test("sends what the flags say; the secret is alone on standard output", async () => {
    const flags = "--name cms --scope infer --scope search --expires-in 10 --concurrency 4".split(
      " ",
    );
    const more = "--inferences-per-day 100 --fetch-allow img.example.com:443 --no-store".split(" ");
    const { status, requests, out, err } = await run(["create", ...flags, ...more], () =>
      Response.json({ key: "b2e_secret", ...key("abc") }, { status: 201 }),
    );
    expect(requests).toEqual([
      {
        ...{ method: "POST", url: "https://edge.example/v1/keys", key: "Bearer admin" },
        body: {
          ...{ name: "cms", scopes: ["infer", "search"], expires_at: "2030-01-11T00:00:00.000Z" },
          limits: { inferences_per_day: 100, concurrency: 4 },
          ...{ fetch_allow: ["img.example.com:443"], no_store: true },
        },
      },
    ]);
    expect([status, out]).toEqual([0, ["b2e_secret"]]);
    expect(err.join()).toContain("not shown again");
  });

  test("--json is one object and nothing else", async () => {
    const { out, err } = await run(["create", "--name", "a", "--json"], () =>
      Response.json({ key: "b2e_secret", ...key("abc") }),
    );
    expect(out.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { key: "b2e_secret", id: "abc" },
    ]);
    expect(err).toEqual([]);
  });

  test.each([
    [["create"], /--name/],
    [["create", "--name", "a", "--scope", "root"], /scopes\[0\].*infer or index/],
    [["create", "--name", "a", "--concurrency", "many"], /--concurrency must be a whole number/],
    [["create", "--name", "a", "b"], /"b" belongs to no flag/],
    [["create", "--nam", "a"], /--nam/],
    [["create", "--name", "a", "--url", "ftp://x"], /http or https/],
    [["list", "x"], /no arguments/],
    [["rotate"], /id of one key/],
    [["revoke"], /id of a key/],
    [["make"], /no "keys make"/],
  ])("wrong usage: %j", async (args, words) => {
    const answer = () => Response.json({});
    await expect(run(args, answer)).rejects.toMatchObject({ code: "usage", detail: words });
  });
});

test("list reads every page and says what became of a key", async () => {
  const pages: Record<string, unknown> = {
    "": { keys: [key("a", { revoked_at: "2029-01-01T00:00:00.000Z" })], cursor: "7" },
    "?cursor=7": { keys: [key("b", { expires_at: "2029-12-31T00:00:00.000Z" }), key("c")] },
  };
  const { out, requests } = await run(["list"], ({ url }) =>
    Response.json(pages[new URL(url).search]),
  );
  expect(requests).toHaveLength(2);
  expect(out.map((line) => line.split(/ +/).slice(0, 2))).toEqual([
    ["a", "revoked"],
    ["b", "expired"],
    ["c", "valid"],
  ]);
});

test("rotate gives the new secret and says how long the old one works", async () => {
  const until = "2030-01-01T01:00:00.000Z";
  const { out, err, requests } = await run(["rotate", "a", "--overlap", "3600"], () =>
    Response.json({ key: "b2e_new", ...key("a", { previous_secret_until: until }) }),
  );
  expect(requests).toMatchObject([
    { method: "POST", url: "https://edge.example/v1/keys/a/rotate", body: { overlap_s: 3600 } },
  ]);
  expect(out).toEqual(["b2e_new"]);
  expect(err.join()).toContain(until);
});

test("revoke goes on past an unknown id, fails then, and stops at anything worse", async () => {
  const answer = ({ url }: Request) =>
    url.endsWith("/b")
      ? problemResponse(new AppError("not_found", "There is no key with this id."))
      : Response.json(key("x", { revoked_at: "2030-01-01T00:00:00.000Z" }));
  const { status, out, err, requests } = await run(["revoke", "a", "b", "c"], answer);
  expect(requests.map(({ method }) => method)).toEqual(["DELETE", "DELETE", "DELETE"]);
  expect([status, out.length, err.length]).toEqual([1, 2, 1]);
  const refused = run(["revoke", "a"], () => problemResponse(new AppError("forbidden", "No.")));
  await expect(refused).rejects.toMatchObject({ code: "forbidden" });
});
