import { describe, expect, test } from "vitest";
import { memoryTables } from "../../../test/support/sqlite.ts";
import { createApiKey, hashApiKey, keyIdOf } from "./api-key.ts";
import { authenticator } from "./authenticate.ts";
import { keyBook } from "./key-book.ts";
import { keyMemory, keyStore } from "./key-store.ts";

const operatorKey = `b2e_operator_${"0a".repeat(20)}`;

/** Two isolates over the same tables, and a clock. */
function world({ acceptForeignKeys = false } = {}) {
  const table = memoryTables();
  const clock = { time: 1_000_000 };
  const now = () => clock.time;
  const isolate = () => {
    const keys = keyStore({ table, memory: keyMemory(), ttlMs: 1000, now });
    const authenticate = authenticator({ keys, operators: [operatorKey], acceptForeignKeys, now });
    return { keys, knows: (key: string) => authenticate(`Bearer ${key}`), authenticate };
  };
  const here = isolate();
  const book = keyBook({ table, changed: here.keys.forget, now });
  return { table, clock, here, there: isolate(), book };
}
const refused = (internal: RegExp) => ({ code: "unauthorized", internal });

describe("what is refused", () => {
  test("a bad checksum, before any lookup", async () => {
    const { here, table } = world();
    const { key } = await createApiKey();
    const bad = key.slice(0, -1) + (key.endsWith("0") ? "1" : "0");
    await expect(here.knows(bad)).rejects.toMatchObject(refused(/checksum/));
    await expect(here.knows("dev")).rejects.toMatchObject(refused(/form/));
    expect(table.statements()).toBe(0);
  });

  test("the right id with another secret, in the same words as everything else", async () => {
    const { here, book } = world();
    const { id } = await book.create({ name: "a" }, "ada");
    const other = await createApiKey(undefined, id);
    await expect(here.knows(other.key)).rejects.toMatchObject(refused(/wrong secret/));
    const unknown = await createApiKey();
    const words = await Promise.all(
      [other.key, unknown.key, "x".repeat(300)].map((key) =>
        here.knows(key).then(String, (error: Error) => error.message),
      ),
    );
    expect(new Set(words).size).toBe(1);
  });

  test("expiry is exact, also from memory; revocation is seen here at once, elsewhere soon", async () => {
    const { clock, here, there, book, table } = world();
    const expires_at = new Date(clock.time + 900).toISOString();
    const { key, id } = await book.create({ name: "a", expires_at }, "ada");
    expect(await here.knows(key)).toMatchObject({ keyId: id, tenant: "ada", scopes: ["infer"] });
    const before = table.statements();
    clock.time += 899;
    await here.knows(key);
    expect(table.statements()).toBe(before);
    clock.time += 1;
    await expect(here.knows(key)).rejects.toMatchObject(refused(/expired/));

    const second = await book.create({ name: "b" }, "ada");
    await there.knows(second.key);
    await book.revoke("ada", second.id);
    await expect(here.knows(second.key)).rejects.toMatchObject(refused(/revoked/));
    await there.knows(second.key);
    clock.time += 1001;
    await expect(there.knows(second.key)).rejects.toMatchObject(refused(/revoked/));
  });
});

describe("rotation", () => {
  test("both secrets work, the old one to the millisecond, and isolates that remember take the new one at once", async () => {
    const { clock, here, there, book } = world();
    const old = await book.create({ name: "a", limits: { concurrency: 2 } }, "ada");
    await there.knows(old.key);
    const fresh = await book.rotate("ada", old.id, 10);
    expect(fresh).toMatchObject({ id: old.id, limits: { concurrency: 2 } });
    expect(fresh.previous_secret_until).toBe(new Date(clock.time + 10_000).toISOString());
    for (const isolate of [here, there]) {
      expect((await isolate.knows(fresh.key)).keyId).toBe(old.id);
      expect((await isolate.knows(old.key)).keyId).toBe(old.id);
    }
    clock.time += 9_999;
    await here.knows(old.key);
    clock.time += 1;
    await expect(here.knows(old.key)).rejects.toMatchObject(refused(/rotated/));
    await here.knows(fresh.key);
  });

  test("a third secret ends the first at once; a revoked key and one chosen by hand cannot be rotated", async () => {
    const { here, book, table } = world();
    const first = await book.create({ name: "a" }, "ada");
    const second = await book.rotate("ada", first.id);
    const third = await book.rotate("ada", first.id);
    await here.knows(second.key);
    await here.knows(third.key);
    await expect(here.knows(first.key)).rejects.toMatchObject(refused(/wrong secret/));
    await book.revoke("ada", first.id);
    await expect(book.rotate("ada", first.id)).rejects.toMatchObject({ detail: /revoked/ });
    const { id } = await keyIdOf("by-hand");
    await table
      .prepare(
        "INSERT INTO api_keys (id, prefix, secret_hash, tenant, name, created_at) VALUES (?, ?, ?, 'ada', 'x', 1)",
      )
      .bind(id, id, await hashApiKey("by-hand"))
      .run();
    await expect(book.rotate("ada", id)).rejects.toMatchObject({ detail: /by hand/ });
  });
});

test("an operator is one by the Worker's secret alone, and does nothing but manage", async () => {
  const { here } = world();
  const caller = await here.knows(operatorKey);
  expect(caller).toMatchObject({ isOperator: true, scopes: ["admin"] });
  await expect(here.knows(operatorKey.replace(/a$/, "b"))).rejects.toMatchObject(refused(/form/));
});

test("keys chosen by hand work only where they are accepted, and rows from before may infer", async () => {
  for (const acceptForeignKeys of [false, true]) {
    const { here, table } = world({ acceptForeignKeys });
    const { id } = await keyIdOf("dev");
    await table
      .prepare(
        "INSERT INTO api_keys (id, prefix, secret_hash, tenant, name, created_at) VALUES (?, ?, ?, 'ada', 'x', 1)",
      )
      .bind(id, id, await hashApiKey("dev"))
      .run();
    if (!acceptForeignKeys) await expect(here.knows("dev")).rejects.toThrow();
    else {
      expect(await here.knows("dev")).toEqual({
        ...{ keyId: id, tenant: "ada", scopes: ["infer"], fetchAllow: [], noStore: false },
        isOperator: false,
        limits: {
          ...{ requestsPerMinute: null, inferencesPerDay: null, inferencesPerMonth: null },
          concurrency: null,
        },
      });
    }
  }
});

test("use is written down once a minute and never goes back", async () => {
  const { clock, here, there, book } = world();
  const { key, id } = await book.create({ name: "a" }, "ada");
  const lastUsed = async () => Date.parse((await book.read("ada", id)).last_used_at ?? "");
  for (const isolate of [here, there]) await isolate.knows(key);
  const first = clock.time;
  await here.keys.noteUse(id);
  expect(await lastUsed()).toBe(first);
  clock.time += 59_999;
  expect(here.keys.noteUse(id)).toBeUndefined();
  clock.time += 1;
  await here.keys.noteUse(id);
  clock.time -= 30_000;
  await there.keys.noteUse(id);
  expect(await lastUsed()).toBe(first + 60_000);
});
