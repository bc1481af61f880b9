import { expect, test } from "vitest";
import { fittingLabels, labelsInCaption, wordsOfCaption } from "./tags.ts";

test("labels that fit are tags, the best first, as many as may be", () => {
  const scored = [
    { label: "dog", score: 0.51 },
    { label: "car", score: 0.49 },
    { label: "cat", score: 0.9 },
    { label: "hat", score: 0.7 },
  ];
  expect(fittingLabels(scored, 2)).toEqual(["cat", "hat"]);
  expect(fittingLabels(scored, 9)).toEqual(["cat", "hat", "dog"]);
});

test("a caption's own words are tags without a vocabulary", () => {
  expect(wordsOfCaption("Three blue balloons and a blue cake on a white background", 5)).toEqual([
    ...["blue", "balloons", "cake", "white"],
  ]);
  expect(wordsOfCaption("a b, the of 12", 5)).toEqual([]);
});

test("labels are found as whole words", () => {
  const labels = ["cat", "hot dog", "dog"];
  expect(labelsInCaption("A category: a hot-dog, eaten", labels, 5)).toEqual(["hot dog", "dog"]);
});
