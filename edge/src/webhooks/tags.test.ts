import { expect, test } from "vitest";
import { fittingLabels, labelsInCaption } from "./tags.ts";

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

test("labels are found in a caption as whole words, of several things too", () => {
  const labels = ["cat", "hot dog", "dog", "mouse"];
  expect(labelsInCaption("A category: a hot-dog, eaten by two mice", labels, 5)).toEqual([
    ...["hot dog", "dog", "mouse"],
  ]);
  expect(labelsInCaption("two mice and a dog", labels, 1)).toEqual(["dog"]);
});
