import fc from "fast-check";
import { expect, test } from "vitest";
import { memoryTier } from "./memory-tier.ts";

const names = "abcdefghijklmnop".split("");
const bytesOf = (path: string, text: string) => 2 * (path.length + text.length) + 128;

test("what was read last stays, what was not read for longest goes", () => {
  const tier = memoryTier({ maxBytes: 8 * bytesOf("a", "1") });
  for (const path of names.slice(0, 8)) tier.set(path, "1", 60);
  expect(tier.get("a")).toBe("1");
  tier.set("i", "1", 60);
  expect(tier.get("b")).toBeUndefined();
  expect("acdefghi".split("").map((path) => tier.get(path))).toEqual(Array(8).fill("1"));
});

test("an entry ends with its time, and what is too large for its share is not kept, nor what it replaces", () => {
  let now = 0;
  const tier = memoryTier({ maxBytes: 8000, now: () => now });
  tier.set("a", "1", 2);
  now = 1999;
  expect(tier.get("a")).toBe("1");
  now = 2000;
  expect(tier.get("a")).toBeUndefined();
  tier.set("a", "1", 60);
  tier.set("a", "x".repeat(500), 60);
  expect(tier.get("a")).toBeUndefined();
});

test("without room nothing is kept", () => {
  const tier = memoryTier({ maxBytes: 0 });
  tier.set("", "", 60);
  expect(tier.get("")).toBeUndefined();
});

test("whatever is set, read and deleted: never more than the bound, and never another's text", () => {
  const path = fc.constantFrom(...names);
  const step = fc.oneof(
    fc.record({ set: path, length: fc.nat(200) }),
    fc.record({ get: path }),
    fc.record({ drop: path }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const maxBytes = 3000;
      const tier = memoryTier({ maxBytes });
      const last = new Map<string, string>();
      for (const one of steps) {
        if ("set" in one) {
          last.set(one.set, one.set.repeat(one.length));
          tier.set(one.set, one.set.repeat(one.length), 60);
        } else if ("drop" in one) {
          last.delete(one.drop);
          tier.delete(one.drop);
        } else {
          expect([undefined, last.get(one.get)]).toContain(tier.get(one.get));
        }
      }
      const held = names.map((name) => bytesOf(name, tier.get(name) ?? ""));
      const empty = names.filter((name) => tier.get(name) === undefined);
      const total = held.reduce((sum, bytes) => sum + bytes, 0);
      expect(total - empty.length * bytesOf("a", "")).toBeLessThanOrEqual(maxBytes);
    }),
  );
});
