import { expect, test } from "vitest";
import { calibrationOf, scoreOf } from "./calibrations.ts";

test("a model's curves hold at every precision, and nobody's are lent to another", () => {
  const own = calibrationOf("nano-itm");
  expect(own).toBeDefined();
  expect(calibrationOf("nano-itm@int8")).toBe(own);
  expect(calibrationOf("blip2-itm-vit-g")).toBeUndefined();
});

test("the measured cut-off stands between what is there and what is not", () => {
  const itc = calibrationOf("nano-itm")?.itc;
  const cut = itc?.minScore ?? NaN;
  expect(scoreOf(itc, 0.85)).toBeGreaterThan(cut);
  expect(scoreOf(itc, 0.7)).toBeLessThan(cut);
  expect(scoreOf(undefined, 0.7)).toBe(0.7);
  expect(scoreOf(undefined, -0.2)).toBe(0);
});
