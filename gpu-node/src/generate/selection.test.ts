import { expect, test } from "vitest";
import { argmax, logProbability } from "./selection.ts";

test("argmax takes the first of the highest and nothing that is no number", () => {
  expect(argmax(Float32Array.of(1, 3, 3, 2))).toBe(1);
  expect(argmax(Float32Array.of(NaN, -5, -7))).toBe(1);
  expect(argmax(Float32Array.of(-Infinity, NaN))).toBe(-1);
});

test("log probabilities sum to one and survive large logits", () => {
  const logits = Float32Array.of(1000, 999, 990, -1000);
  const sum = [0, 1, 2, 3].reduce((total, id) => total + Math.exp(logProbability(logits, id)), 0);
  expect(sum).toBeCloseTo(1, 12);
  expect(logProbability(logits, 1) - logProbability(logits, 0)).toBeCloseTo(-1, 12);
});
