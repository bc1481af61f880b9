// When the client asks again: only what may be asked twice, only after a failure that says it may pass, and
// not after a wait that the caller would rather not sit through.
import { AppError, retryAfterOf } from "../problem.ts";

export interface RetryPolicy {
  /** Attempts after the first. */
  readonly maxRetries: number;
  /** A problem that wants a longer wait is thrown instead. */
  readonly maxRetryWaitMs: number;
  /** Rejects with the signal's reason when it is aborted first. */
  readonly sleep: (ms: number, signal: AbortSignal | undefined) => Promise<void>;
  /** 0 to 1. */
  readonly random: () => number;
}

const firstWaitMs = 500;

export const realSleep: RetryPolicy["sleep"] = (ms, signal) =>
  new Promise((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, ms);
    if (signal?.aborted === true) return abort();
    signal?.addEventListener("abort", abort, { once: true });
  });

/** Milliseconds until the next attempt; undefined when there is to be none. */
function waitAfter(error: unknown, retries: number, policy: RetryPolicy): number | undefined {
  const afterS = error instanceof AppError ? retryAfterOf(error) : undefined;
  if (!(error instanceof AppError) || afterS === undefined) return undefined;
  // The caller's own time is over; and what was not understood will not be the next time.
  if (error.code === "deadline_exceeded" || error.code === "api_unexpected") return undefined;
  if (retries >= policy.maxRetries) return undefined;
  // Half of it is drawn, so that many clients do not come back together; never earlier than the API says.
  const backoffMs = firstWaitMs * 2 ** retries * (0.5 + policy.random() / 2);
  const waitMs = Math.max(backoffMs, afterS * 1000);
  return waitMs > policy.maxRetryWaitMs ? undefined : waitMs;
}

/** Throws what the last attempt threw, or the signal's reason. */
export async function withRetries<Result>(
  attempt: () => Promise<Result>,
  policy: RetryPolicy,
  signal: AbortSignal | undefined,
): Promise<Result> {
  for (let retries = 0; ; retries++) {
    try {
      return await attempt();
    } catch (error) {
      const waitMs = waitAfter(error, retries, policy);
      if (waitMs === undefined) throw error;
      await policy.sleep(waitMs, signal);
    }
  }
}
