import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { assumedLimits, crossingBytes, positionBytes, stepsPerRun } from "./steps-per-run.ts";

/** blip2-opt-2.7b's. */
const opt = positionBytes({ layers: 32, heads: 32, headDim: 80 });
const caption = { pastPositions: 33, rows: 1, positionBytes: opt, stepSeconds: 0.003 };

describe("stepsPerRun", () => {
  test("a caption of opt-2.7b at 3 ms a step: 655,360 bytes a position, a run of 17", () => {
    expect(opt).toBe(655_360);
    expect(crossingBytes(caption, 17)).toBe(655_360 * 50);
    expect(stepsPerRun(caption)).toBe(17);
  });

  test("never more than may be, even where no number is enough", () => {
    expect(stepsPerRun({ ...caption, stepSeconds: 0.0005 })).toBe(assumedLimits.maxSteps);
    expect(stepsPerRun({ ...caption, pastPositions: 5000 })).toBe(assumedLimits.maxSteps);
    expect(stepsPerRun({ ...caption, pastPositions: 0 })).toBe(1);
  });

  test("is the fewest with which the crossing keeps to its share", () => {
    const run = fc.record({
      pastPositions: fc.integer({ min: 0, max: 600 }),
      rows: fc.integer({ min: 1, max: 16 }),
      positionBytes: fc.integer({ min: 1000, max: 2_000_000 }),
      stepSeconds: fc.double({ min: 1e-4, max: 0.1, noNaN: true }),
    });
    fc.assert(
      fc.property(run, (given) => {
        const limits = { ...assumedLimits, maxSteps: 100_000 };
        const part = (steps: number): number => {
          const crossing = crossingBytes(given, steps) / limits.bytesPerSecond;
          return crossing / (crossing + steps * given.stepSeconds);
        };
        const steps = stepsPerRun(given, limits);
        if (steps < limits.maxSteps) expect(part(steps)).toBeLessThanOrEqual(limits.share + 1e-9);
        if (steps > 1) expect(part(steps - 1)).toBeGreaterThan(limits.share - 1e-9);
      }),
    );
  });
});
