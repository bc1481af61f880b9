import fc from "fast-check";
import { expect, test } from "vitest";
import { floatTensor } from "../tensor/tensor.ts";
import { compareTensors } from "./compare.ts";

const tensor = (...values: number[]) => floatTensor(Float32Array.of(...values), [values.length]);

test("the same is 1, at right angles 0, opposite -1", () => {
  expect(compareTensors(tensor(3, 4), tensor(3, 4))).toEqual({
    cosine: 1,
    maxAbsError: 0,
    relativeError: 0,
  });
  expect(compareTensors(tensor(1, 0), tensor(0, 1)).cosine).toBe(0);
  expect(compareTensors(tensor(1, 2), tensor(-1, -2)).cosine).toBeCloseTo(-1);
});

test("errors are the largest, in numbers and in units of the root mean square", () => {
  const found = compareTensors(tensor(3, -3, 3, -3), tensor(3, -3, 3, -1.5));
  expect(found.maxAbsError).toBe(1.5);
  expect(found.relativeError).toBeCloseTo(0.5);
});

test("zeros equal zeros and nothing else; what is not a number equals nothing", () => {
  expect(compareTensors(tensor(0, 0), tensor(0, 0)).cosine).toBe(1);
  expect(compareTensors(tensor(0, 0), tensor(0, 1)).cosine).toBe(0);
  expect(compareTensors(tensor(1, 1), tensor(1, Number.NaN)).cosine).toBe(0);
  expect(compareTensors(tensor(1, 1), tensor(1, Infinity)).cosine).toBe(0);
});

test("what a mask forbids is compared as such and hides nothing beside it", () => {
  const mask = -3.4e38;
  expect(compareTensors(tensor(mask, 1, 2), tensor(-65504, 1, 2)).cosine).toBeCloseTo(1);
  expect(compareTensors(tensor(mask, 1, 2), tensor(mask, 2, -1)).cosine).toBeCloseTo(0);
  expect(compareTensors(tensor(mask, 1, 2), tensor(0, 1, 2)).cosine).toBe(0);
  expect(compareTensors(tensor(0, 1, 2), tensor(mask, 1, 2)).cosine).toBeLessThan(0.1);
});

test("of what is added to a stream, the stream left out", () => {
  const stream = tensor(1000, 0);
  const found = compareTensors(tensor(1001, 0), tensor(1000, 1), stream);
  expect(found.cosine).toBe(0);
  expect(compareTensors(tensor(1001, 0), tensor(1000, 1)).cosine).toBeGreaterThan(0.999);
});

test("the scale of both does not matter to the cosine", () => {
  // Eighths: half of the smallest float32 would be zero.
  const eighths = fc.integer({ min: -800, max: 800 }).map((count) => count / 8);
  const numbers = fc.array(eighths, { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(numbers, fc.constantFrom(0.5, 2, 1024), (values, factor) => {
      const scaled = tensor(...values.map((value) => value * factor));
      expect(compareTensors(tensor(...values), scaled).cosine).toBeCloseTo(1, 5);
    }),
  );
});
