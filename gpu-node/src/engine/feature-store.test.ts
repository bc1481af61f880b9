import { array, assert, constantFrom, integer, property, tuple } from "fast-check";
import { expect, test } from "vitest";
import { createFeatureStore } from "./feature-store.ts";

const floats = (count: number) => new Float32Array(count);

test("the least recently used goes first, and a look counts as use", () => {
  const store = createFeatureStore(8 * 4);
  store.put("a", floats(4));
  store.put("b", floats(4));
  expect(store.get("a")).toHaveLength(4);
  expect(store.put("c", floats(4))).toEqual(["b"]);
  expect([store.has("a"), store.has("b"), store.has("c")]).toEqual([true, false, true]);
});

test("what is larger than the whole store is not kept", () => {
  const store = createFeatureStore(16);
  expect(store.put("a", floats(5))).toEqual(["a"]);
  expect(store.bytes).toBe(0);
});

test("a store of no bytes keeps nothing", () => {
  const store = createFeatureStore(0);
  store.put("a", floats(1));
  expect(store.has("a")).toBe(false);
});

test("bytes are exact and never above the bound, and the removed are gone", () => {
  const puts = array(tuple(constantFrom("a", "b", "c", "d"), integer({ min: 1, max: 9 })));
  assert(
    property(puts, (sequence) => {
      const store = createFeatureStore(64);
      const mirror = new Map<string, number>();
      for (const [key, count] of sequence) {
        const removed = store.put(key, floats(count));
        mirror.set(key, count * 4);
        for (const gone of removed) mirror.delete(gone);
        const total = [...mirror.values()].reduce((sum, bytes) => sum + bytes, 0);
        expect(store.bytes).toBe(total);
        expect(total).toBeLessThanOrEqual(64);
        for (const held of mirror.keys()) expect(store.has(held)).toBe(true);
      }
    }),
  );
});
