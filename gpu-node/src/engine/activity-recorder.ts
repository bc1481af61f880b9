// Adds up what the engine does and sends it on, at most every half second, so that a run of a millisecond
// does not cost a message. While nothing happens it still speaks now and then: memory and lag go on.
import type { LoopLag } from "../observe/loop-lag.ts";
import type { BatchState, EngineActivity, SizeCount } from "./engine-activity.ts";

export interface ActivityRecorder {
  /** One run of the decoder that began with `rows`, made `steps` and decided `tokens`. */
  decodeRun(rows: number, steps: number, tokens: number): void;
  /** Prompts of so many rows were read together. */
  prefill(rows: number): void;
  /** So many images went through the vision tower together. */
  visionBatch(images: number): void;
  /** Sends what is gathered, due or not. */
  flush(): void;
  /** Sends no more. */
  stop(): void;
}

export interface ActivityRecorderOptions {
  readonly send: (activity: EngineActivity) => void;
  readonly batch: () => BatchState;
  readonly rssBytes: () => number;
  readonly loopLag: () => LoopLag;
  readonly intervalMs?: number;
  /** In intervals: how often something is sent while nothing happens. */
  readonly idleIntervals?: number;
}

/** Of an engine that has no decode batch open. */
export const noBatch: BatchState = { rows: 0, maxRows: 0, kvBytes: 0, waiting: {} };

export function createActivityRecorder(options: ActivityRecorderOptions): ActivityRecorder {
  const { send, batch, rssBytes, loopLag, intervalMs = 500, idleIntervals = 10 } = options;
  const decodeRuns = createTally();
  const prefills = createTally();
  const visionBatches = createTally();
  let decodeSteps = 0;
  let decodeTokens = 0;
  let quietFor = 0;

  const flush = (): void => {
    quietFor = 0;
    send({
      work: {
        decodeRuns: decodeRuns.take(),
        decodeSteps,
        decodeTokens,
        prefills: prefills.take(),
        visionBatches: visionBatches.take(),
      },
      batch: batch(),
      rssBytes: rssBytes(),
      loopLag: loopLag(),
    });
    decodeSteps = 0;
    decodeTokens = 0;
  };
  const timer = setInterval(() => {
    quietFor += 1;
    const worked = [decodeRuns, prefills, visionBatches].some((tally) => tally.any());
    if (worked || batch().rows > 0 || quietFor >= idleIntervals) flush();
  }, intervalMs);
  timer.unref();

  return {
    decodeRun(rows, steps, tokens) {
      decodeRuns.add(rows);
      decodeSteps += steps;
      decodeTokens += tokens;
    },
    prefill: (rows) => prefills.add(rows),
    visionBatch: (images) => visionBatches.add(images),
    flush,
    stop: () => clearInterval(timer),
  };
}

/** As long as the number of different sizes, which the batch bounds. */
function createTally() {
  const times = new Map<number, number>();
  return {
    add: (size: number): void => void times.set(size, (times.get(size) ?? 0) + 1),
    any: (): boolean => times.size > 0,
    take(): readonly SizeCount[] {
      const counts = [...times];
      times.clear();
      return counts;
    },
  };
}
