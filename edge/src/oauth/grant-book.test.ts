import { expect, test } from "vitest";
import { memoryTables } from "../../../test/support/sqlite.ts";
import { grantBook, maxLiveGrants, type NewGrant } from "./grant-book.ts";

const dayMs = 86_400_000;
function newBook() {
  const table = memoryTables();
  const clock = { at: Date.UTC(2030, 0, 1) };
  return { table, clock, book: grantBook({ table, keepMs: 30 * dayMs, now: () => clock.at }) };
}
const grant: NewGrant = {
  ...{
    tenant: "ada",
    keyId: "k1",
    clientId: "c",
    clientName: "Desk",
    redirectHost: "desk.example",
  },
  ...{ scopes: ["infer", "search"], proof: "key", person: undefined },
};

test("a grant lives as long as its code, then a month from each token on", async () => {
  const { book, clock } = newBook();
  const id = await book.create(grant);
  expect(await book.live(id)).toMatchObject({ scopes: ["infer", "search"], refreshed_at: null });
  clock.at += 600_000;
  expect(await book.live(id)).toBeUndefined();
  const redeemed = await book.create(grant);
  await book.prolong(redeemed);
  clock.at += 29 * dayMs;
  expect(await book.live(redeemed)).toBeDefined();
  await book.prolong(redeemed);
  clock.at += 29 * dayMs;
  expect(await book.live(redeemed)).toBeDefined();
  clock.at += dayMs;
  expect(await book.live(redeemed)).toBeUndefined();
});

test("what was revoked stays so, whatever comes later", async () => {
  const { book, clock } = newBook();
  const id = await book.create(grant);
  const { revoked_at: first } = await book.revoke({ tenant: "ada" }, id);
  clock.at += 1000;
  expect((await book.revoke({ tenant: "ada" }, id)).revoked_at).toBe(first);
  await book.prolong(id);
  await book.end(id);
  expect(await book.live(id)).toBeUndefined();
  expect((await book.list({ tenant: "ada" }, undefined)).grants).toMatchObject([
    { revoked_at: first, refreshed_at: null },
  ]);
});

test("a tenant sees and ends its own, a key those on its account, an operator all", async () => {
  const { book } = newBook();
  const hers = await book.create(grant);
  const sisters = await book.create({ ...grant, keyId: "k2" });
  const his = await book.create({ ...grant, tenant: "bob", keyId: "k3", person: "bob@b.example" });
  const idsOf = async (of: Parameters<typeof book.list>[0]) =>
    (await book.list(of, undefined)).grants.map(({ id }) => id);
  expect(await idsOf({ tenant: "ada" })).toEqual([hers, sisters]);
  expect(await idsOf({ tenant: "ada", keyId: "k2" })).toEqual([sisters]);
  expect(await idsOf({ tenant: "*" })).toEqual([hers, sisters, his]);
  for (const of of [{ tenant: "bob" }, { tenant: "ada", keyId: "k2" }]) {
    await expect(book.revoke(of, hers)).rejects.toMatchObject({ code: "not_found" });
  }
  expect(await book.live(hers)).toBeDefined();
});

test("pages follow one another without a gap", async () => {
  const { book } = newBook();
  const made = [];
  for (let at = 0; at < 5; at++) made.push(await book.create(grant));
  const seen: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await book.list({ tenant: "ada" }, cursor, 2);
    seen.push(...page.grants.map(({ id }) => id));
    ({ cursor } = page);
  } while (cursor !== undefined);
  expect(seen).toEqual(made);
});

test("of one key so many live: one more ends the oldest", async () => {
  const { book } = newBook();
  const first = await book.create(grant);
  const foreign = await book.create({ ...grant, keyId: "k2" });
  const second = await book.create(grant);
  for (let at = 0; at < maxLiveGrants - 1; at++) await book.create(grant);
  expect(await book.live(first)).toBeUndefined();
  expect([await book.live(second), await book.live(foreign)]).not.toContain(undefined);
});

test("what has been over for a month is forgotten, and no more at a time than was said", async () => {
  const { book, clock, table } = newBook();
  for (let at = 0; at < 3; at++) await book.create(grant);
  clock.at += 29 * dayMs;
  await book.forgetOld(10);
  const count = () => table.db.prepare("SELECT count(*) AS n FROM oauth_grants").get()?.["n"];
  expect(count()).toBe(3);
  clock.at += 2 * dayMs;
  await book.forgetOld(2);
  expect(count()).toBe(1);
});
