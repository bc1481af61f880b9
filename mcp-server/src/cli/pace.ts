// How fast a long run of calls may go: as many at a time as the Worker takes, found out by asking. A refusal that any
// call would meet makes all of them wait as long as it says, and then go on by fewer; successes let one more in
// (additive increase, multiplicative decrease). It keeps no more calls waiting than were handed in.
import { AppError, retryAfterOf, type ProblemCode } from "@blip2-edge/shared/problem";

/** Of the key, of the nodes, of the way to the Worker: the next call would meet it too. */
const passing: ReadonlySet<ProblemCode> = new Set([
  ...(["rate_limited", "quota_exceeded", "concurrency_exceeded", "meter_unavailable"] as const),
  ...(["node_unavailable", "overloaded", "share_exceeded", "not_ready"] as const),
  "api_unreachable",
]);
/** Every call would meet it, now and later. */
const final: ReadonlySet<ProblemCode> = new Set([
  ...(["unauthorized", "forbidden", "not_found", "method_not_allowed"] as const),
  ...(["index_outdated", "index_full", "model_not_found", "quota_exceeded"] as const),
]);

/** Whom a failure concerns, and whether it may pass. */
export type Reach = "all_for_now" | "all" | "one_for_now" | "one";

export function reachOf(error: AppError): Reach {
  const mayPass = retryAfterOf(error) !== undefined;
  if (mayPass && passing.has(error.code)) return "all_for_now";
  if (final.has(error.code)) return "all";
  return mayPass ? "one_for_now" : "one";
}

export interface PaceOptions {
  /** Calls at a time, at most. */
  readonly parallel: number;
  /** Without a success for so long, or told to wait for longer, it gives up. */
  readonly patienceMs: number;
  readonly now: () => number;
  /** Rejects when the user wants out. */
  readonly sleep: (ms: number) => Promise<void>;
  /** 0 to 1. */
  readonly random?: () => number;
  /** Hears of each wait. */
  readonly waits?: (waitMs: number, because: AppError, atATime: number) => void;
}

export interface Pace {
  /**
   * The result of `call`, which is made when its turn has come, and again after failures that may pass. Throws the
   * last failure; one that reaches all only once patience is over.
   */
  run<Result>(call: () => Promise<Result>): Promise<Result>;
}

const firstWaitMs = 500;
const longestWaitMs = 30_000;
const attemptsOfOne = 3;
/** Successes in a row, of each that runs at a time, before one more may: a refusal costs seconds. */
const growsEvery = 20;

export function createPace(options: PaceOptions): Pace {
  const { parallel, patienceMs, now, sleep, random = Math.random, waits } = options;
  let atATime = parallel;
  let running = 0;
  let inARow = 0;
  let pausedUntil = 0;
  /** Refusals since the last success, of calls that were made after the one before. */
  let refusals = 0;
  let stuckSince: number | undefined;
  let era = 0;
  let atTheDoor: (() => void)[] = [];

  const backoff = (times: number): number =>
    Math.min(longestWaitMs, firstWaitMs * 2 ** Math.min(times - 1, 10)) * (0.5 + random() / 2);

  /** Resolves to the era in which the call is made. */
  async function enter(): Promise<number> {
    for (;;) {
      const pauseMs = pausedUntil - now();
      if (pauseMs > 0) await sleep(pauseMs);
      else if (running < atATime) {
        running += 1;
        return era;
      } else await new Promise<void>((resolve) => atTheDoor.push(resolve));
    }
  }
  function leave(): void {
    running -= 1;
    const woken = atTheDoor;
    atTheDoor = [];
    for (const wake of woken) wake();
  }

  function succeeded(): void {
    refusals = 0;
    stuckSince = undefined;
    inARow += 1;
    if (inARow < growsEvery * atATime || atATime === parallel) return;
    inARow = 0;
    atATime += 1;
  }

  function refused(error: AppError, madeIn: number): void {
    const askedMs = (retryAfterOf(error) ?? 0) * 1000;
    // What was under way when another was refused says nothing new.
    const isNews = madeIn === era;
    inARow = 0;
    if (isNews) {
      era += 1;
      refusals += 1;
      atATime = Math.max(1, Math.floor(atATime / 2));
    }
    const at = now();
    stuckSince ??= at;
    const waitMs = Math.max(askedMs, backoff(refusals));
    if (at + waitMs - stuckSince > patienceMs) throw error;
    pausedUntil = Math.max(pausedUntil, at + waitMs);
    if (isNews) waits?.(waitMs, error, atATime);
  }

  return {
    async run(call) {
      let failures = 1;
      for (;;) {
        const madeIn = await enter();
        let waitMs = 0;
        try {
          const result = await call();
          succeeded();
          return result;
        } catch (error) {
          if (!(error instanceof AppError)) throw error;
          const reach = reachOf(error);
          if (reach === "all_for_now") refused(error, madeIn);
          else if (reach !== "one_for_now" || failures === attemptsOfOne) throw error;
          else {
            waitMs = Math.max((retryAfterOf(error) ?? 0) * 1000, backoff(failures));
            failures += 1;
          }
        } finally {
          leave();
        }
        if (waitMs > 0) await sleep(waitMs);
      }
    },
  };
}
