import { expect, test } from "vitest";
import { bootstrap, meanOf } from "./standard-error.ts";

test("the error of a rate is the binomial one", () => {
  const rate = [1, 1, 1, 0, 1, 0, 1, 1, 1, 1];
  expect(meanOf(rate).value).toBeCloseTo(0.8, 12);
  expect(meanOf(rate).standardError).toBeCloseTo(Math.sqrt((0.8 * 0.2) / 10), 12);
});

test("the bootstrap finds the error of a mean, and finds it again", () => {
  const values = Array.from({ length: 200 }, (_, at) => ((at * 37) % 101) / 101);
  const mean = (places: Uint32Array): number[] => [
    places.reduce((sum, place) => sum + values[place]!, 0) / places.length,
  ];
  const [error] = bootstrap(values.length, mean);
  const { standardError } = meanOf(values);
  expect(Math.abs(error! / standardError - 1)).toBeLessThan(0.1);
  expect(bootstrap(values.length, mean)).toEqual([error]);
});
