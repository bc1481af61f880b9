import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createApiKey, hashApiKey, keyIdOf, parseApiKey } from "./api-key.ts";

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

  test("a new secret for a key keeps its id", async () => {
    const first = await createApiKey();
    const second = await createApiKey(undefined, first.id);
    expect(second).toMatchObject({ id: first.id, prefix: first.prefix });
    expect(parseApiKey(second.key)).toEqual({ id: first.id });
    expect(second.hash).not.toBe(first.hash);
  });

  test("a key chosen by hand has an id that says nothing about it", async () => {
    const { id } = await keyIdOf("my-own-key");
    expect(id).toMatch(/^x[0-9a-f]{16}$/);
    expect((await hashApiKey("my-own-key")).startsWith(id.slice(1))).toBe(false);
  });
});
