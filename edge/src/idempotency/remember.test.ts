import { beforeEach, describe, expect, test } from "vitest";
import { AppError } from "@blip2-edge/shared/problem";
import { memoryTables, type MemoryTables } from "../../../test/support/sqlite.ts";
import { sealer } from "../auth/seal.ts";
import { forgetOld, remember, type Remember, type StoredAnswer } from "./remember.ts";

let at = 0;
let table: MemoryTables;
let once: Remember;
const make = (secret = "a secret") => sealer(`${secret} of the tests that is long enough`);
const answerOf = (body: string): StoredAnswer => ({ status: 201, headers: {}, body });

beforeEach(() => {
  at = 1_000_000;
  table = memoryTables();
  let ids = 0;
  once = remember({
    ...{ table, sealer: make(), keepMs: 60_000, leaseMs: 1000, now: () => at },
    newId: () => `id${(ids += 1)}`,
  });
});

/** Sends a request and tells what it was answered, and whether anything was made for it. */
async function send(header: string | undefined, asked = "POST /v1/jobs {}", tenant = "ada") {
  let made = 0;
  const { answer, isReplay } = await once({ tenant, header, asked }, (seed) => {
    made += 1;
    return Promise.resolve(answerOf(`made from ${seed}`));
  });
  return { body: answer.body, isReplay, made };
}

test("the same again gets the first answer, and makes nothing", async () => {
  const first = await send("abc");
  expect(first).toMatchObject({ isReplay: false, made: 1 });
  expect(await send("abc")).toEqual({ body: first.body, isReplay: true, made: 0 });
  // As the draft writes it.
  expect(await send('"abc"')).toEqual({ body: first.body, isReplay: true, made: 0 });
});

test("without a key everything is made", async () => {
  const [one, two] = [await send(undefined), await send(undefined)];
  expect(one.body).not.toBe(two.body);
  expect(table.db.prepare("SELECT count(*) AS n FROM idempotent_requests").get()).toEqual({ n: 0 });
});

test("another request under the key is refused; of another tenant it is another key", async () => {
  await send("abc");
  const other = send("abc", "POST /v1/keys {}");
  await expect(other).rejects.toMatchObject({ code: "idempotency_key_reused" });
  expect(await send("abc", "POST /v1/keys {}", "bob")).toMatchObject({ made: 1 });
});

test("while the first goes on, the second is told to wait", async () => {
  let finish = (): void => {};
  const first = once({ tenant: "ada", header: "k", asked: "a" }, async () => {
    await new Promise<void>((resolve) => (finish = resolve));
    return answerOf("first");
  });
  await expect.poll(() => table.statements()).toBe(1);
  const second = once({ tenant: "ada", header: "k", asked: "a" }, () =>
    Promise.reject(new Error()),
  );
  await expect(second).rejects.toMatchObject({ code: "idempotency_in_progress", retryAfterS: 1 });
  finish();
  expect((await first).answer.body).toBe("first");
});

test("what failed is not remembered", async () => {
  const failing = once({ tenant: "ada", header: "k", asked: "a" }, () =>
    Promise.reject(new AppError("too_many_jobs", "")),
  );
  await expect(failing).rejects.toMatchObject({ code: "too_many_jobs" });
  expect(await send("k", "b")).toMatchObject({ made: 1 });
});

test("a request whose Worker died is taken up again with the same seed, by the same request alone", async () => {
  let seed = "";
  void once({ tenant: "ada", header: "k", asked: "a" }, (given) => {
    seed = given;
    return new Promise(() => {});
  });
  await expect.poll(() => seed).not.toBe("");
  at += 1000;
  await expect(send("k", "b")).rejects.toMatchObject({ code: "idempotency_key_reused" });
  expect((await send("k", "a")).body).toBe(`made from ${seed}`);
});

test("after its time a key is new again", async () => {
  const first = await send("k");
  at += 60_000;
  const again = await send("k", "another request");
  expect(again).toMatchObject({ made: 1 });
  expect(again.body).not.toBe(first.body);
  at += 60_000;
  await forgetOld(table, at, 10);
  expect(table.db.prepare("SELECT count(*) AS n FROM idempotent_requests").get()).toEqual({ n: 0 });
});

test("the table holds neither the key nor the answer, and another secret opens nothing", async () => {
  await once({ tenant: "ada", header: "my-key", asked: "a" }, () =>
    Promise.resolve(answerOf('{"key":"b2e_secret"}')),
  );
  const stored = JSON.stringify(table.db.prepare("SELECT * FROM idempotent_requests").all());
  expect(stored).not.toMatch(/my-key|b2e_secret/);
  const other = remember({
    ...{ table, sealer: make("another secret"), keepMs: 60_000, leaseMs: 1000, now: () => at },
  });
  await expect(
    other({ tenant: "ada", header: "my-key", asked: "a" }, () => Promise.reject(new Error())),
  ).rejects.toMatchObject({ code: "idempotency_key_reused" });
});

describe("a header that is no key", () => {
  test.each(["", '""', "a b", "a".repeat(256), 'a"b', '"a', "\u00e9"])("%j", async (header) => {
    await expect(send(header)).rejects.toMatchObject({ code: "invalid_request" });
  });
  test("a quoted text may have spaces and escapes", async () => {
    expect(await send(String.raw`"a \"b\" \\"`)).toMatchObject({ made: 1 });
  });
});
