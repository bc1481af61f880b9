// What becomes of an item whose work failed: recorded, tried again, or put back while its whole job pauses.
import { AppError, type ProblemCode } from "@blip2-edge/shared/problem";

export type AfterFailure =
  | { readonly kind: "record"; readonly problem: AppError }
  | { readonly kind: "again"; readonly afterMs: number }
  /** It is nothing about this item: the next one would meet it too. */
  | { readonly kind: "pause"; readonly code: ProblemCode; readonly atLeastMs: number }
  /** Nobody's fault: the work was broken off. */
  | { readonly kind: "return" };

export interface RetryRules {
  readonly maxAttempts: number;
  readonly firstWaitMs: number;
  readonly maxWaitMs: number;
  /** A quota may be raised before it begins anew: it is looked at again after so long. */
  readonly maxPauseMs: number;
  readonly random?: () => number;
}

/** What every item of the job would meet: the key's limits, and nodes that cannot take more now. */
const sharedFaults: ReadonlySet<ProblemCode> = new Set([
  "rate_limited",
  "quota_exceeded",
  "concurrency_exceeded",
  "meter_unavailable",
  "node_unavailable",
  "overloaded",
  "share_exceeded",
  "not_ready",
]);

export function afterFailure(error: unknown, attempts: number, rules: RetryRules): AfterFailure {
  const { maxAttempts, maxPauseMs } = rules;
  const problem =
    error instanceof AppError
      ? error
      : new AppError("internal", "Something went wrong inside.", { cause: error });
  const { code, retryAfterS, kind } = problem;
  if (code === "canceled") return { kind: "return" };
  // More than the key may ever have: no waiting helps.
  const never = code === "quota_exceeded" && retryAfterS === undefined;
  if (!kind.retryable || never) return { kind: "record", problem };
  if (sharedFaults.has(code)) {
    const atLeastMs = Math.min((retryAfterS ?? 0) * 1000, maxPauseMs);
    return { kind: "pause", code, atLeastMs };
  }
  if (attempts >= maxAttempts) return { kind: "record", problem };
  return { kind: "again", afterMs: retryWaitMs(attempts, rules) };
}

/** Twice as long after each attempt, less a part that chance says. */
export function retryWaitMs(
  attempts: number,
  { firstWaitMs, maxWaitMs, random = Math.random }: RetryRules,
): number {
  const longestMs = Math.min(maxWaitMs, firstWaitMs * 2 ** Math.min(attempts - 1, 20));
  return Math.round(longestMs * (0.5 + random() / 2));
}
