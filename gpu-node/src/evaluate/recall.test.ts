import { expect, test } from "vitest";
import { nearestOf } from "./nearest.ts";
import { rankOf, recallsOf } from "./recall.ts";

const right =
  (...places: number[]) =>
  (at: number): boolean =>
    places.includes(at);

test("of several right ones the best counts", () => {
  expect(rankOf([0.9, 0.1, 0.8, 0.7], right(1, 2))).toBe(1);
  expect(rankOf([0.9, 0.95, 0.8], right(1))).toBe(0);
});
test("a tie counts against the model, wherever it stands; between right ones it is none", () => {
  expect(rankOf([0.5, 0.5, 0.5], right(0))).toBe(2);
  expect(rankOf([0.5, 0.5, 0.5], right(2))).toBe(2);
  expect(rankOf([0.5, 0.5, 0.1], right(0, 1))).toBe(0);
});
test("what is no number is never found", () => {
  expect(rankOf([NaN, 0.1, 0.2], right(0))).toBe(2);
  expect(rankOf([0.3, NaN, 0.2], right(0))).toBe(1);
});
test("recall at 1, 5 and 10 with its binomial error", () => {
  const found = recallsOf([0, 0, 4, 5, 9, 10, 100, 0]);
  expect(found["R@1"]).toEqual({
    value: 3 / 8,
    standardError: expect.closeTo(0.171163, 6) as number,
  });
  expect(found["R@5"].value).toBe(4 / 8);
  expect(found["R@10"].value).toBe(6 / 8);
});
test("the nearest, the first of equals first, all when there are fewer", () => {
  const scores = Float32Array.of(0.5, 0.75, 0.5, 0.25);
  expect([...nearestOf(scores, 3).places]).toEqual([1, 0, 2]);
  expect([...nearestOf(scores, 3).scores]).toEqual([0.75, 0.5, 0.5]);
  expect(nearestOf(scores, 9).places).toHaveLength(4);
});
