import { expect, test } from "vitest";
import { applyTemplate, isQuestionTemplate } from "./question-template.ts";

test("the question stands where the braces stood, whatever it says", () => {
  expect(applyTemplate("Question: {} Answer:", "what is $& {}?")).toBe(
    "Question: what is $& {}? Answer:",
  );
});

test("a template has its place exactly once", () => {
  expect(["{}", "a {} b", "", "no place", "{} {}"].map(isQuestionTemplate)).toEqual([
    true,
    true,
    false,
    false,
    false,
  ]);
});
