import fc from "fast-check";
import { expect, test } from "vitest";
import { fusedScores } from "./fuse.ts";
import { meanTable } from "./mean-table.ts";
import { averaged, normalised, quantise } from "./quantise.ts";
import { maxSimilarity, pictureSimilarity } from "./similarity.ts";

const dim = 8;
const rowsOf = (rows: number) =>
  fc
    .array(fc.double({ min: -4, max: 4, noNaN: true }), {
      minLength: rows * dim,
      maxLength: rows * dim,
    })
    .map((values) => Float32Array.from(values));
const someRows = fc.integer({ min: 1, max: 6 }).chain(rowsOf);
/** In plain doubles, without codes. */
const cosine = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((sum, value, at) => sum + value * (b[at] ?? NaN), 0);
const rowsIn = (values: Float32Array): Float32Array[] =>
  Array.from({ length: values.length / dim }, (_, row) =>
    values.subarray(row * dim, (row + 1) * dim),
  );

test("no number moves by more than half a step of its own vector", () => {
  fc.assert(
    fc.property(someRows, (values) => {
      const { rows, scales, codes } = quantise(values, dim);
      expect(rows).toBe(values.length / dim);
      for (const [row, vector] of rowsIn(values).entries()) {
        const largest = Math.max(...vector.map(Math.abs));
        vector.forEach((value, at) => {
          const back = (scales[row] ?? NaN) * (codes[row * dim + at] ?? NaN);
          expect(Math.abs(back - value)).toBeLessThanOrEqual(largest / 254 + 1e-5);
        });
      }
    }),
  );
  expect(() => quantise(new Float32Array(dim + 1), dim)).toThrow(RangeError);
});

test("max-similarity is that of plain arithmetic within what the codes lose", () => {
  fc.assert(
    fc.property(someRows, rowsOf(1), (values, one) => {
      const [picture, query] = [normalised(values, dim), normalised(one, dim)];
      const plain = Math.max(...rowsIn(picture).map((row) => cosine(query, row)));
      // A row of length 1 moves by at most sqrt(dim) half steps.
      const loss = Math.sqrt(dim) / 254 + 1e-5;
      expect(Math.abs(maxSimilarity(query, quantise(picture, dim)) - plain)).toBeLessThan(loss);
    }),
  );
});

test("a picture is nearest to itself, whatever the order of its vectors", () => {
  fc.assert(
    fc.property(rowsOf(3), rowsOf(3), (first, second) => {
      const [a, b] = [normalised(first, dim), normalised(second, dim)];
      fc.pre(rowsIn(a).every((row) => cosine(row, row) > 0.5));
      const loss = Math.sqrt(dim) / 254 + 1e-4;
      expect(pictureSimilarity(a, quantise(a, dim))).toBeGreaterThan(
        pictureSimilarity(a, quantise(b, dim)) - 2 * loss,
      );
      const turned = Float32Array.from(
        rowsIn(a)
          .toReversed()
          .flatMap((row) => [...row]),
      );
      expect(pictureSimilarity(turned, quantise(a, dim))).toBeCloseTo(
        pictureSimilarity(a, quantise(turned, dim)),
        5,
      );
    }),
  );
});

test("the average has length 1 and points where the vectors point", () => {
  fc.assert(
    fc.property(rowsOf(1), fc.integer({ min: 1, max: 5 }), (one, times) => {
      const vector = normalised(one, dim);
      fc.pre(cosine(vector, vector) > 0.5);
      const many = Float32Array.from(Array.from({ length: times }, () => [...vector]).flat());
      averaged(many, dim).forEach((value, at) => expect(value).toBeCloseTo(vector[at] ?? NaN, 5));
    }),
  );
});

test("the table of averages finds what a plain scan finds, after any changes", () => {
  const change = fc.record({
    key: fc.integer({ min: 0, max: 12 }),
    vector: rowsOf(1),
    goes: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 40 }), rowsOf(1), (changes, query) => {
      const table = meanTable(dim);
      const plain = new Map<number, number>();
      for (const { key, vector, goes } of changes) {
        const { scales, codes } = quantise(vector, dim);
        const [scale = 0] = scales;
        if (goes) {
          table.delete(key);
          plain.delete(key);
        } else {
          table.set(key, scale, codes);
          plain.set(key, Math.fround(cosine(query, codes) * scale));
        }
      }
      const expected = [...plain]
        .map(([key, score]) => ({ key, score }))
        .toSorted((a, b) => b.score - a.score || a.key - b.key);
      expect(table.size).toBe(plain.size);
      expect(table.nearest(query, 5)).toEqual(expected.slice(0, 5));
      const wanted = [3, 99, 0];
      expect(table.scores(query, wanted)).toEqual(
        wanted.flatMap((key) => expected.filter((each) => each.key === key)),
      );
      const even = new Set([0, 2, 4, 6]);
      expect(table.nearest(query, 3, even)).toEqual(
        expected.filter(({ key }) => even.has(key)).slice(0, 3),
      );
    }),
  );
});

test("the table grows beyond its first room", () => {
  const table = meanTable(1);
  for (let key = 0; key < 3000; key++) table.set(key, 1, Int8Array.of(key % 100));
  expect(table.nearest(Float32Array.of(1), 2)).toEqual([
    { key: 99, score: 99 },
    { key: 199, score: 99 },
  ]);
});

test("fusion: first in both lists is first, and one list alone keeps its order", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.string(), { minLength: 1 }), (ranking) => {
      const alone = fusedScores([ranking]);
      const order = [...ranking].toSorted((a, b) => (alone.get(b) ?? 0) - (alone.get(a) ?? 0));
      expect(order).toEqual(ranking);
    }),
  );
  const fused = fusedScores([
    ["a", "b", "c"],
    ["c", "a"],
  ]);
  expect(fused.get("a")).toBeCloseTo(1 / 61 + 1 / 62, 12);
  expect(fused.get("c")).toBeCloseTo(1 / 63 + 1 / 61, 12);
  expect(fused.get("b")).toBeCloseTo(1 / 62, 12);
});
