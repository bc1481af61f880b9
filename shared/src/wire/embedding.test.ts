import { assert, float, integer, array, property } from "fast-check";
import { expect, test } from "vitest";
import { readEmbedding, writeEmbedding } from "./embedding.ts";

test("every finite float32 comes back bit for bit", () => {
  const finite = float({ noNaN: true, noDefaultInfinity: true });
  assert(
    property(
      array(finite, { minLength: 1, maxLength: 64 }),
      integer({ min: 1, max: 4 }),
      (row, rows) => {
        const values = Float32Array.from(
          { length: rows * row.length },
          (_, at) => row[at % row.length]!,
        );
        const written = writeEmbedding([rows, row.length], values);
        // Bits, because -0 equals 0.
        const bits = (floats: Float32Array<ArrayBuffer> | undefined) =>
          floats === undefined ? [] : [...new Uint32Array(floats.buffer)];
        expect(bits(readEmbedding(written))).toEqual(bits(values));
      },
    ),
  );
});

test("what does not fit its dimensions, or is no number, is not read", () => {
  const { data } = writeEmbedding([2], [1, 2]);
  expect(readEmbedding({ dims: [2], data })).toEqual(Float32Array.of(1, 2));
  for (const dims of [[1], [3], [2, 2], [-1, -2], [0]]) {
    expect(readEmbedding({ dims, data })).toBeUndefined();
  }
  expect(readEmbedding({ dims: [0], data: "" })).toBeUndefined();
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(readEmbedding(writeEmbedding([1], [value]))).toBeUndefined();
  }
  expect(() => writeEmbedding([3], [1, 2])).toThrow(RangeError);
});
