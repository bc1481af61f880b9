import { expect, test } from "vitest";
import { equalTexts } from "./equal-texts.ts";

test("equal texts and no others", () => {
  expect(equalTexts("ab", "ab")).toBe(true);
  expect(equalTexts("ab", "ac")).toBe(false);
  expect(equalTexts("ab", "abc")).toBe(false);
  expect(equalTexts("", "a")).toBe(false);
});
