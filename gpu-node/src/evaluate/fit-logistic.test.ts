import { probabilityOf } from "@blip2-edge/shared/wire/calibration";
import fc from "fast-check";
import { expect, test } from "vitest";
import { fitLogistic } from "./fit-logistic.ts";

test("the curve never changes an order, finds its own again and keeps to both sides of apart ones", () => {
  const finite = fc.double({ min: -3, max: 3, noNaN: true });
  fc.assert(
    fc.property(finite, finite, (a, b) => {
      const curve = { slope: 7, intercept: -2 };
      if (a < b) expect(probabilityOf(curve, a)).toBeLessThanOrEqual(probabilityOf(curve, b));
    }),
  );
  const apart = fitLogistic(
    Array.from({ length: 200 }, (_, at) => ({ score: at / 200, answers: at >= 120 })),
  );
  expect(apart.slope).toBeGreaterThan(0);
  expect(probabilityOf(apart, 0.4)).toBeLessThan(0.1);
  expect(probabilityOf(apart, 0.8)).toBeGreaterThan(0.9);
  // 30 of 100 answer at one score, 80 of 100 at another: the curve goes through both.
  const mixed = [0.2, 0.6].flatMap((score, which) =>
    Array.from({ length: 100 }, (_, at) => ({ score, answers: at < (which === 0 ? 30 : 80) })),
  );
  const curve = fitLogistic(mixed);
  expect(probabilityOf(curve, 0.2)).toBeCloseTo(0.3, 1);
  expect(probabilityOf(curve, 0.6)).toBeCloseTo(0.8, 1);
  expect(() => fitLogistic([{ score: 1, answers: true }])).toThrow(RangeError);
  const upsideDown = mixed.map(({ score, answers }) => ({ score: -score, answers }));
  expect(() => fitLogistic(upsideDown)).toThrow("higher scores");
});
