import { probabilityOf } from "@blip2-edge/shared/wire/calibration";
import fc from "fast-check";
import { expect, test } from "vitest";
import { fitLogistic, type KnownText } from "./fit-logistic.ts";

test("the curve never changes an order, finds its own again and keeps to both sides of apart ones", () => {
  const finite = fc.double({ min: -3, max: 3, noNaN: true });
  fc.assert(
    fc.property(finite, finite, (a, b) => {
      const curve = { slope: 7, intercept: -2 };
      if (a < b) expect(probabilityOf(curve, a)).toBeLessThanOrEqual(probabilityOf(curve, b));
    }),
  );
  const fit = (pairs: KnownText["pairs"]) =>
    fitLogistic(pairs.map((pair) => ({ features: [], pairs: [pair] })));
  const apart = fit(
    Array.from({ length: 200 }, (_, at) => ({ score: at / 200, answers: at >= 120 })),
  );
  expect(apart.slope).toBeGreaterThan(0);
  expect(probabilityOf(apart, 0.4)).toBeLessThan(0.1);
  expect(probabilityOf(apart, 0.8)).toBeGreaterThan(0.9);
  // 30 of 100 answer at one score, 80 of 100 at another: the curve goes through both.
  const mixed = [0.2, 0.6].flatMap((score, which) =>
    Array.from({ length: 100 }, (_, at) => ({ score, answers: at < (which === 0 ? 30 : 80) })),
  );
  const curve = fit(mixed);
  expect(probabilityOf(curve, 0.2)).toBeCloseTo(0.3, 1);
  expect(probabilityOf(curve, 0.6)).toBeCloseTo(0.8, 1);
  expect(() => fit([{ score: 1, answers: true }])).toThrow(RangeError);
  expect(() => fit(mixed.map(({ score, answers }) => ({ score: -score, answers })))).toThrow(
    "higher scores",
  );
});

test("what decides beside the score is found, and what does not is left at next to nothing", () => {
  const texts = Array.from({ length: 600 }, (_, at): KnownText => {
    const [telling, idle] = [(at % 7) / 7, ((at * 5) % 11) / 11];
    const pairs = [0.1, 0.3, 0.5, 0.7, 0.9].map((score) => ({
      score,
      answers: score + 0.5 * telling > 0.75,
    }));
    return { features: [telling, idle], pairs };
  });
  const { slope, weights } = fitLogistic(texts);
  const [ofTelling = 0, ofIdle = 0] = weights;
  // Half of the score, less what the ridge holds back.
  expect(ofTelling / slope).toBeGreaterThan(0.25);
  expect(ofTelling / slope).toBeLessThan(0.55);
  expect(Math.abs(ofIdle / slope)).toBeLessThan(0.05);
});
