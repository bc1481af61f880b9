import { array, assert, constantFrom, dictionary, double, property, record } from "fast-check";
import { expect, test } from "vitest";
import { stageTimes } from "./stage-times.ts";

const job = { admittedAtMs: 100, doneAtMs: 200, queueMs: 10 };

test("stages without a timeline follow the queue and one another", () => {
  expect(stageTimes({ ...job, stages: { vision: 30, prefill: 20, decode: 35 } })).toEqual([
    { stage: "queue", startMs: 100, endMs: 110 },
    { stage: "vision", startMs: 110, endMs: 140 },
    { stage: "prefill", startMs: 140, endMs: 160 },
    { stage: "decode", startMs: 160, endMs: 195 },
  ]);
});

test("the engine's own timeline is put where the job came to it", () => {
  const timeline = [
    { stage: "vision", startMs: 5, endMs: 25 },
    { stage: "decode", startMs: 40, endMs: 85 },
  ] as const;
  expect(stageTimes({ ...job, stages: { vision: 20, decode: 45 }, timeline })).toEqual([
    { stage: "queue", startMs: 100, endMs: 110 },
    { stage: "vision", startMs: 115, endMs: 135 },
    { stage: "decode", startMs: 150, endMs: 195 },
  ]);
});

test("whatever was measured, every stage lies within the job and ends after it begins", () => {
  const ms = double({ min: 0, max: 1e6, noNaN: true });
  const stage = constantFrom("wait", "vision", "prefill", "decode");
  const span = record({ stage, startMs: ms, tookMs: ms });
  assert(
    property(ms, ms, ms, dictionary(stage, ms), array(span), (at, took, queueMs, stages, spans) => {
      const times = { admittedAtMs: at, doneAtMs: at + took, queueMs, stages };
      const timeline = spans.map(({ stage, startMs, tookMs }) => ({
        stage,
        startMs,
        endMs: startMs + tookMs,
      }));
      for (const laid of [stageTimes(times), stageTimes({ ...times, timeline })]) {
        for (const { startMs, endMs } of laid) {
          expect(startMs).toBeGreaterThanOrEqual(at);
          expect(endMs).toBeGreaterThanOrEqual(startMs);
          expect(endMs).toBeLessThanOrEqual(at + took);
        }
      }
    }),
  );
});
