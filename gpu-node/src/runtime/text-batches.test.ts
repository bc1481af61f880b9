import { assert, asyncProperty, array, integer } from "fast-check";
import { expect, test } from "vitest";
import { inBatches, type TextBatch } from "./text-batches.ts";

const limits = { pad: 9, extra: 2, maxRows: 4, maxPositions: 30 };
/** Each text's tokens added up, as the mask shows them. */
const sums = ({ inputIds, attentionMask }: TextBatch): Promise<number[]> => {
  const [rows = 0, width = 0] = inputIds.dims;
  const at = Array.from({ length: rows }, (_, row) => row * width);
  return Promise.resolve(
    at.map((start) => {
      const ids = inputIds.data.subarray(start, start + width);
      const mask = attentionMask.data.subarray(start, start + width);
      return ids.reduce((sum, id, place) => sum + Number(id * (mask[place] ?? 0n)), 0);
    }),
  );
};

test("results come in the order of the texts, from batches within their bounds", async () => {
  const text = array(integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 12 });
  await assert(
    asyncProperty(array(text, { maxLength: 20 }), async (texts) => {
      let rowsInAll = 0;
      const results = await inBatches(texts, limits, (batch) => {
        const [rows = 0, width = 0] = batch.inputIds.dims;
        expect(rows).toBeLessThanOrEqual(limits.maxRows);
        if (rows > 1)
          expect(rows * (width + limits.extra)).toBeLessThanOrEqual(limits.maxPositions);
        expect(Math.max(...batch.lengths)).toBe(width);
        rowsInAll += rows;
        return sums(batch);
      });
      expect(rowsInAll).toBe(texts.length);
      expect(results).toEqual(texts.map((ids) => ids.reduce((sum, id) => sum + id, 0)));
    }),
  );
});

test("pads stand on the right and are masked", async () => {
  const batches: TextBatch[] = [];
  await inBatches([[5, 6, 7], [8]], limits, (batch) => {
    batches.push(batch);
    return sums(batch);
  });
  expect(batches.map(({ inputIds }) => [...inputIds.data].map(Number))).toEqual([
    [8, 9, 9, 5, 6, 7],
  ]);
  expect(batches.map(({ attentionMask }) => [...attentionMask.data].map(Number))).toEqual([
    [1, 0, 0, 1, 1, 1],
  ]);
});

test("a caller who leaves is heard between two batches", async () => {
  const controller = new AbortController();
  let batches = 0;
  const texts = Array.from({ length: 9 }, () => [1]);
  const run = inBatches(
    texts,
    limits,
    (batch) => {
      batches += 1;
      controller.abort(new Error("gone"));
      return sums(batch);
    },
    controller.signal,
  );
  await expect(run).rejects.toThrow("gone");
  expect(batches).toBe(1);
});
