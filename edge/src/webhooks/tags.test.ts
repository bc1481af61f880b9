import { expect, test } from "vitest";
import { fittingLabels, labelsInCaption } from "./tags.ts";

test("labels that fit are tags: those that the caption names first, the others when their score is high", () => {
  const scored = [
    { label: "dog", score: 0.51 },
    { label: "car", score: 0.49 },
    { label: "hat", score: 0.985 },
    { label: "cat", score: 0.9 },
    { label: "tree", score: 0.97 },
    { label: "sun", score: 0.99 },
  ];
  const caption = "two cats, a dog and a car";
  expect(fittingLabels(caption, scored, 9)).toEqual(["cat", "dog", "car", "sun", "hat"]);
  expect(fittingLabels(caption, scored, 3)).toEqual(["cat", "dog", "car"]);
});

test("labels are found in a caption as whole words, of several things too", () => {
  const labels = ["cat", "hot dog", "dog", "mouse"];
  expect(labelsInCaption("A category: a hot-dog, eaten by two mice", labels, 5)).toEqual([
    ...["hot dog", "dog", "mouse"],
  ]);
  expect(labelsInCaption("two mice and a dog", labels, 1)).toEqual(["dog"]);
});
