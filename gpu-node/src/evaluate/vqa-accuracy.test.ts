// The rules by example; agreement with the published code on 541 cases is in test/golden/evaluate.
import { expect, test } from "vitest";
import { vqaAccuracy } from "./vqa-accuracy.ts";
import { withoutPunctuation, withPlainWords } from "./vqa-answer.ts";

const people = (...answers: (readonly [string, number])[]): string[] =>
  answers.flatMap(([answer, count]) => Array.from({ length: count }, () => answer));

test("n of ten agree: the mean over the ten that leave one out", () => {
  const accuracy = (agreeing: number): number =>
    vqaAccuracy("cat", people(["cat", agreeing], ["dog", 10 - agreeing]), "official");
  // One agrees: 9 subsets of 1/3 and one of none. Three: 7 of 1 and 3 of 2/3. Four are enough.
  expect([0, 1, 2, 3, 4, 10].map((count) => Number(accuracy(count).toFixed(6)))).toEqual([
    0, 0.3, 0.6, 0.9, 1, 1,
  ]);
});

test("where all people agree, VQA v2's rules leave a number word as it is and LAVIS's do not", () => {
  const two = people(["2", 10]);
  expect([vqaAccuracy("two", two, "lavis"), vqaAccuracy("two", two, "official")]).toEqual([1, 0]);
  const mostly = people(["2", 9], ["3", 1]);
  expect(vqaAccuracy("two", mostly, "official")).toBe(1);
});

test("punctuation: gone beside a space or with a comma in a number, else a space; periods but before digits", () => {
  expect(withoutPunctuation("left/right")).toBe("left right");
  expect(withoutPunctuation("left / right")).toBe("left  right");
  expect(withoutPunctuation("1,000 - ok")).toBe("1000  ok");
  expect(withoutPunctuation("3.5 p.m.")).toBe("3.5 pm");
});

test("words: lower case, digits, no articles, apostrophes", () => {
  expect(withPlainWords("The Two dogs  DONT know a thing")).toBe("2 dogs don't know thing");
  expect(withPlainWords("none")).toBe("0");
});
