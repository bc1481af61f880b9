import { expect, test } from "vitest";
import { floatTensor } from "./tensor.ts";

test("a shape must fit its data", () => {
  expect(() => floatTensor(new Float32Array(5), [2, 3])).toThrow(/\[2, 3\].*5/);
});
