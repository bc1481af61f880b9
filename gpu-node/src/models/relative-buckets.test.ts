// That the tables are the reference's is shown in test/golden/t5; here is what holds for every shape.
import fc from "fast-check";
import { expect, test } from "vitest";
import { type BucketShape, relativeBucket, relativeBuckets } from "./relative-buckets.ts";

const shapes: fc.Arbitrary<BucketShape> = fc
  .record({
    buckets: fc.integer({ min: 4, max: 1024 }),
    beyond: fc.integer({ min: 1, max: 1024 }),
    bidirectional: fc.boolean(),
  })
  .map(({ buckets, beyond, bidirectional }) => ({
    buckets,
    maxDistance: Math.floor(buckets / 2) + beyond,
    bidirectional,
  }));

test("the buckets that T5 has", () => {
  const decoder = { buckets: 32, maxDistance: 128, bidirectional: false };
  const places = [0, -1, -15, -16, -19, -127, -128, -9999, 3];
  expect(places.map((at) => relativeBucket(at, decoder))).toEqual([
    0, 1, 15, 16, 17, 31, 31, 31, 0,
  ]);
  const encoder = { ...decoder, bidirectional: true };
  expect([0, -1, 1, -7, 8, 9999].map((at) => relativeBucket(at, encoder))).toEqual([
    0, 1, 17, 7, 24, 31,
  ]);
});

test("every bucket exists, distance never lowers it, and beyond the table nothing changes", () => {
  fc.assert(
    fc.property(shapes, fc.integer({ min: 1, max: 5000 }), (shape, distance) => {
      const table = relativeBuckets(shape);
      expect(table).toHaveLength(2 * shape.maxDistance + 1);
      expect(Math.max(...table)).toBeLessThan(shape.buckets);
      expect(Math.min(...table)).toBe(0);
      const before = table.slice(0, shape.maxDistance + 1).toReversed();
      expect(before).toEqual(before.toSorted((a, b) => a - b));
      for (const far of [-shape.maxDistance - distance, shape.maxDistance + distance]) {
        const edge = far < 0 ? table[0] : table.at(-1);
        expect(relativeBucket(far, shape)).toBe(edge);
      }
    }),
    { numRuns: 100 },
  );
});
