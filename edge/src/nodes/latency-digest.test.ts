import fc from "fast-check";
import { expect, test } from "vitest";
import { createLatencyDigest } from "./latency-digest.ts";

test("any quantile is within 3 % of the true one", () => {
  const values = fc.array(fc.double({ min: 1, max: 600_000, noNaN: true }), {
    minLength: 1,
    maxLength: 300,
  });
  fc.assert(
    fc.property(values, fc.double({ min: 0.01, max: 1, noNaN: true }), (all, q) => {
      const digest = createLatencyDigest(60_000);
      for (const ms of all) digest.add(ms, 0);
      const sorted = all.toSorted((a, b) => a - b);
      const exact = sorted[Math.ceil(q * all.length - 1e-9) - 1] ?? Number.NaN;
      const told = digest.quantile(q) ?? Number.NaN;
      expect(told / exact).toBeGreaterThan(0.97);
      expect(told / exact).toBeLessThan(1.03);
    }),
  );
});

test("the past is forgotten by halves", () => {
  const digest = createLatencyDigest(1000);
  for (let at = 0; at < 64; at++) digest.add(100, 0);
  expect(digest.weight(0)).toBe(64);
  expect(digest.weight(3000)).toBeCloseTo(8);
  for (let at = 0; at < 9; at++) digest.add(1000, 3000);
  expect(digest.quantile(0.5)).toBeGreaterThan(900);
  // Ever so much later the numbers are still in range.
  for (let at = 0; at < 3; at++) digest.add(10, 1e9);
  expect(digest.weight(1e9)).toBeCloseTo(3);
  expect(digest.quantile(0.9)).toBeLessThan(11);
});

test("nothing is known at first", () => {
  expect(createLatencyDigest(1000).quantile(0.5)).toBeUndefined();
});
