// The worked example of docs/evaluation.md, each number from the definition and none from the code. Agreement
// with coco-caption on many more is in test/golden/evaluate.
import { expect, test } from "vitest";
import { ciderOf } from "./cider.ts";

const words = (text: string): string[] => text.split(" ");
const first = {
  candidate: words("a red red cat"),
  references: [words("a red cat sits"), words("a cat")],
};
const second = { candidate: words("a dog runs"), references: [words("a dog runs")] };

test("the worked example", () => {
  // Of two pictures' references "a" is in both: ln(2/2) = 0. All else is in one, or in none and counts as in
  // one: ln 2 each, which every cosine divides out again.
  const toFirst = {
    // red twice against once is taken once: (1·1 + 1·1) / (√(2² + 1²) · √3)
    unigrams: 2 / Math.sqrt(5 * 3),
    // "a red" and "red cat" of three against three
    bigrams: 2 / Math.sqrt(3 * 3),
    trigrams: 0,
    fourgrams: 0,
    // three bigrams each
    penalty: 1,
  };
  const toSecond = {
    unigrams: 1 / Math.sqrt(5),
    bigrams: 0,
    trigrams: 0,
    fourgrams: 0,
    // three bigrams against one: e^(-2² / (2 · 6²))
    penalty: Math.exp(-4 / 72),
  };
  const score = (one: typeof toFirst): number =>
    ((one.unigrams + one.bigrams + one.trigrams + one.fourgrams) / 4) * one.penalty;
  const expected = (10 * (score(toFirst) + score(toSecond))) / 2;
  expect(expected).toBeCloseTo(2.00764, 5); // as the document prints it

  const [found, whole] = ciderOf([first, second]);
  expect(found).toBeCloseTo(expected, 12);
  // Like its only reference but too short for a 4-gram: three of four orders are perfect.
  expect(whole).toBeCloseTo(7.5, 12);
});

test("one picture alone has no document frequency: nothing, not a division by zero", () => {
  expect(ciderOf([first])).toEqual([0]);
});

test("the documents are those of the set: another picture changes the weights", () => {
  const other = { candidate: words("a"), references: [words("a red dog")] };
  expect(ciderOf([first, second, other])[0]).not.toBeCloseTo(ciderOf([first, second])[0]!, 3);
});
