import { expect, test } from "vitest";
import { floatTensor, selectRows } from "./tensor.ts";

test("rows are kept, dropped, swapped and doubled", () => {
  const tensor = floatTensor(Float32Array.of(1, 2, 3, 4, 5, 6), [3, 2]);
  expect([...selectRows(tensor, [2, 0, 2]).data]).toEqual([5, 6, 1, 2, 5, 6]);
  expect(selectRows(tensor, [1]).dims).toEqual([1, 2]);
  expect(() => selectRows(tensor, [3])).toThrow(RangeError);
});

test("a shape must fit its data", () => {
  expect(() => floatTensor(new Float32Array(5), [2, 3])).toThrow(/\[2, 3\].*5/);
});
