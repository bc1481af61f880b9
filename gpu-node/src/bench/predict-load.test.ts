import { expect, test } from "vitest";
import { longestActionMs } from "./measure-load.ts";
import { decodeSeconds, stepSeconds, wholeSeconds } from "./predict-load.ts";
import type { StageTime } from "./measure-stages.ts";

const decode: readonly StageTime[] = [
  { stage: "decode", batch: 1, seconds: 1 },
  { stage: "decode", batch: 8, seconds: 4.5 },
  { stage: "decode", batch: 16, seconds: 8.5 },
];

test("a step's time lies on the line between two measured batches", () => {
  expect(stepSeconds(decode, 1)).toBe(1);
  expect(stepSeconds(decode, 2)).toBe(1.5);
  expect(stepSeconds(decode, 8)).toBe(4.5);
  expect(stepSeconds(decode, 12)).toBe(6.5);
  expect(stepSeconds(decode, 16)).toBe(8.5);
  // Beyond both ends.
  expect(stepSeconds(decode, 20)).toBe(10.5);
  expect(stepSeconds(decode.slice(1), 2)).toBe(4.5);
  expect(stepSeconds(decode.slice(0, 1), 30)).toBe(1);
});

test("sequences leave the batch when they are done", () => {
  // Three tokens: two steps; the first for both.
  expect(decodeSeconds(decode, [3, 2])).toBe(1.5 + 1);
  expect(decodeSeconds(decode, [1])).toBe(0);
});

test("a whole is every picture at the rate of the largest batch, and the decoding", () => {
  const stages: readonly StageTime[] = [
    { stage: "vision", batch: 1, seconds: 10 },
    { stage: "vision", batch: 8, seconds: 40 },
    { stage: "qformer", batch: 8, seconds: 8 },
    { stage: "prefill", batch: 8, seconds: 16 },
    ...decode,
  ];
  expect(wholeSeconds({ loadSeconds: 0, stages, captions: [] }, [3, 2])).toBe(
    2 * (5 + 1 + 2) + 2.5,
  );
});

test("the longest action is what the engine's budgets of 250 ms, 16 steps and 8 images allow", () => {
  const times = (look: number, step: number): readonly StageTime[] => [
    { stage: "vision", batch: 1, seconds: look },
    { stage: "vision", batch: 8, seconds: 2 * look },
    { stage: "decode", batch: 1, seconds: step },
  ];
  // Nothing is cut: one image, one step.
  expect(longestActionMs(times(2, 0.1), 8)).toBe(2000);
  expect(longestActionMs(times(0.001, 0.4), 8)).toBe(400);
  // As many as fit.
  expect(longestActionMs(times(0.1, 0.001), 8)).toBe(200);
  expect(longestActionMs(times(0.001, 0.06), 8)).toBe(240);
  expect(longestActionMs(times(0.001, 0.01), 8)).toBe(160);
});
