// How late this process's event loop is, as quantiles over the last one to two intervals. Knows Node's delay
// histogram; both the door and the engine process have one of these.
import { monitorEventLoopDelay } from "node:perf_hooks";

/** Milliseconds by which timers came late. */
export interface LoopLag {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** What is needed of Node's IntervalHistogram: nanoseconds, the timer's own period included. */
export interface DelayHistogram {
  readonly count: number;
  readonly max: number;
  percentile(percentile: number): number;
  enable(): unknown;
  disable(): unknown;
  reset(): void;
}

export interface LoopLagMeter {
  read(): LoopLag;
  stop(): void;
}

export interface LoopLagOptions {
  readonly open?: (resolutionMs: number) => DelayHistogram;
  /** How old what is read may be: once that old it is forgotten within one more interval. */
  readonly intervalMs?: number;
}

/** The timer's period, which Node counts in: taken off again. */
const resolutionMs = 20;
const nanosPerMs = 1e6;

const lagOf = (nanos: number): number => Math.max(0, nanos / nanosPerMs - resolutionMs);

export function createLoopLag(options: LoopLagOptions = {}): LoopLagMeter {
  const { open = (resolution) => monitorEventLoopDelay({ resolution }), intervalMs = 10_000 } =
    options;
  // Node does not record the first delay after a reset, which may be the longest of all. So there are two that
  // are reset in turn: what the one has lost, the other has.
  let [older, newer] = [open(resolutionMs), open(resolutionMs)];
  older.enable();
  newer.enable();
  const timer = setInterval(() => {
    [older, newer] = [newer, older];
    newer.reset();
  }, intervalMs);
  timer.unref();
  return {
    read() {
      if (older.count === 0) return { p50Ms: 0, p99Ms: 0, maxMs: 0 };
      return {
        p50Ms: lagOf(older.percentile(50)),
        p99Ms: lagOf(older.percentile(99)),
        maxMs: lagOf(older.max),
      };
    },
    stop() {
      clearInterval(timer);
      older.disable();
      newer.disable();
    },
  };
}
