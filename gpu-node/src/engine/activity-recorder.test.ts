import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createActivityRecorder, noBatch } from "./activity-recorder.ts";
import type { BatchState, EngineActivity } from "./engine-activity.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function recorder() {
  const sent: EngineActivity[] = [];
  let batch: BatchState = noBatch;
  const loopLag = { p50Ms: 1, p99Ms: 2, maxMs: 3 };
  const made = createActivityRecorder({
    send: (activity) => void sent.push(activity),
    batch: () => batch,
    rssBytes: () => 7,
    loopLag: () => loopLag,
    intervalMs: 500,
    idleIntervals: 10,
  });
  return { made, sent, loopLag, setBatch: (next: BatchState) => (batch = next) };
}
const nothing = {
  decodeRuns: [],
  decodeSteps: 0,
  decodeTokens: 0,
  prefills: [],
  visionBatches: [],
};

test("adds up what was done and sends it once per interval, then begins anew", () => {
  const { made, sent, loopLag } = recorder();
  made.visionBatch(3);
  made.prefill(3);
  made.decodeRun(3, 8, 24);
  made.decodeRun(3, 8, 22);
  made.decodeRun(1, 2, 2);
  expect(sent).toEqual([]);
  vi.advanceTimersByTime(500);
  expect(sent).toEqual([
    {
      work: {
        decodeRuns: [
          [3, 2],
          [1, 1],
        ],
        decodeSteps: 18,
        decodeTokens: 48,
        prefills: [[3, 1]],
        visionBatches: [[3, 1]],
      },
      batch: noBatch,
      rssBytes: 7,
      loopLag,
    },
  ]);
  made.prefill(1);
  vi.advanceTimersByTime(500);
  expect(sent[1]?.work).toEqual({ ...nothing, prefills: [[1, 1]] });
});

test("while rows are in the batch it speaks though no run has ended", () => {
  const { sent, setBatch } = recorder();
  setBatch({ rows: 2, maxRows: 16, kvBytes: 100, waiting: { vision: 1 } });
  vi.advanceTimersByTime(1000);
  expect(sent.map(({ work, batch }) => [work, batch.rows])).toEqual([
    [nothing, 2],
    [nothing, 2],
  ]);
});

test("while nothing happens it speaks now and then, and after stop no more", () => {
  const { made, sent } = recorder();
  vi.advanceTimersByTime(4999);
  expect(sent).toHaveLength(0);
  vi.advanceTimersByTime(1);
  expect(sent).toHaveLength(1);
  vi.advanceTimersByTime(5000);
  expect(sent).toHaveLength(2);
  made.flush();
  expect(sent).toHaveLength(3);
  made.stop();
  vi.advanceTimersByTime(60_000);
  expect(sent).toHaveLength(3);
});
