import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createApiKey, hashApiKey, keyIdOf, parseApiKey } from "./api-key.ts";
import { authenticator } from "./authenticate.ts";
import { keyMemory, keyStore, type KeyRecord, type KeyTable } from "./key-store.ts";

describe("the form of a key", () => {
  test("a new key parses, is recognisable, and is never made twice", async () => {
    const made = await Promise.all(Array.from({ length: 50 }, () => createApiKey()));
    for (const { key, id, prefix, hash } of made) {
      expect(key).toMatch(/^b2e_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}$/);
      expect(parseApiKey(key)).toEqual({ id });
      expect(prefix).toBe(`b2e_${id}`);
      expect(hash).toBe(await hashApiKey(key));
    }
    expect(new Set(made.map(({ key }) => key)).size).toBe(50);
  });

  test("one wrong character, anywhere, fails the checksum", async () => {
    const { key } = await createApiKey((count) => new Uint8Array(count).fill(17));
    fc.assert(
      fc.property(
        fc.integer({ min: 4, max: key.length - 1 }),
        fc.constantFrom("0", "z"),
        (at, digit) => {
          fc.pre(key[at] !== digit && key[at] !== "_");
          return parseApiKey(key.slice(0, at) + digit + key.slice(at + 1)) === undefined;
        },
      ),
    );
    expect(parseApiKey("")).toBeUndefined();
    expect(parseApiKey(`${key} `)).toBeUndefined();
  });

  test("a key chosen by hand has an id that says nothing about it", async () => {
    const { id } = await keyIdOf("my-own-key");
    expect(id).toMatch(/^x[0-9a-f]{16}$/);
    expect((await hashApiKey("my-own-key")).startsWith(id.slice(1))).toBe(false);
  });
});

describe("authentication", () => {
  const rows = new Map<string, KeyRecord>();
  let lookups = 0;
  const table: KeyTable = {
    prepare: () => ({
      bind: (id) => ({
        first: () => {
          lookups += 1;
          return Promise.resolve(rows.get(id ?? "") ?? null);
        },
      }),
    }),
  };
  const put = async (key: string, more: Partial<KeyRecord> = {}) => {
    const { id } = await keyIdOf(key);
    const record = { id, secret_hash: await hashApiKey(key), tenant: "ada" };
    rows.set(id, { ...record, expires_at: null, revoked_at: null, ...more });
    return id;
  };
  let time = 0;
  const authenticate = (acceptForeignKeys = false) =>
    authenticator({
      acceptForeignKeys,
      now: () => time,
      findKey: keyStore({ table, memory: keyMemory(), ttlMs: 1000, now: () => time }),
    });

  test("a bad checksum is refused before any lookup", async () => {
    const { key } = await createApiKey();
    const bad = key.slice(0, -1) + (key.endsWith("0") ? "1" : "0");
    lookups = 0;
    await expect(authenticate()(`Bearer ${bad}`)).rejects.toMatchObject({ code: "unauthorized" });
    await expect(authenticate()("Bearer dev")).rejects.toMatchObject({ code: "unauthorized" });
    expect(lookups).toBe(0);
  });

  test("the right id with another secret is refused", async () => {
    const { key, id } = await createApiKey();
    await put(key);
    const other = await createApiKey();
    const record = rows.get(id);
    if (record === undefined) throw new Error("not put");
    rows.set(other.id, { ...record, id: other.id });
    const attempt = authenticate()(`Bearer ${other.key}`);
    await expect(attempt).rejects.toMatchObject({ code: "unauthorized", detail: /valid API key/ });
  });

  test("expiry is exact, also from memory; revocation is seen once the memory is old", async () => {
    time = 0;
    const { key } = await createApiKey();
    const id = await put(key, { expires_at: 900 });
    const known = authenticate();
    lookups = 0;
    expect(await known(`bearer ${key}`)).toEqual({ keyId: id, tenant: "ada", fetchAllow: [] });
    time = 899;
    await known(`Bearer ${key}`);
    expect(lookups).toBe(1);
    time = 900;
    await expect(known(`Bearer ${key}`)).rejects.toMatchObject({ internal: /expired/ });
    await put(key, { revoked_at: 950 });
    time = 1001;
    await expect(known(`Bearer ${key}`)).rejects.toMatchObject({ internal: /revoked/ });
  });

  test("keys chosen by hand work only where they are accepted", async () => {
    await put("dev");
    await expect(authenticate(false)("Bearer dev")).rejects.toThrow();
    expect(await authenticate(true)("Bearer dev")).toMatchObject({ tenant: "ada" });
  });
});
