// One request's own things, made by the middleware and read by the routes: plain data and a clock.
import { AppError } from "@blip2-edge/shared/problem";
import type { Caller } from "./auth/caller.ts";
import type { MemoryShare } from "./images/picture-memory.ts";
import type { LogEvent } from "./log.ts";
import type { Hops } from "./observe/hops.ts";
import type { RequestTrace } from "./observe/trace.ts";
import type { LimitReport } from "./usage/limit-headers.ts";

export interface RequestContext {
  readonly requestId: string;
  /** Aborted when the caller goes away or the time is over; the reason is an AppError. */
  readonly signal: AbortSignal;
  readonly remainingMs: () => number;
  /** What the log line will say; rooms and routes add to it. */
  readonly event: LogEvent;
  /** Where the request stands in a trace, and how long its parts took. */
  readonly trace: RequestTrace;
  readonly hops: Hops;
  /** What the answer will tell of the key's limits. */
  readonly limits: LimitReport;
  /** What the request holds of a picture. */
  readonly memory: MemoryShare;
  /** Work that may outlast the answer. */
  readonly later: (work: Promise<unknown>) => void;
  /** Nobody waits for the answer; left out: somebody does. */
  readonly priority?: "bulk";
}

export interface AuthenticatedContext extends RequestContext {
  readonly caller: Caller;
}

/** A signal with a deadline whose reasons are problems, and what stops its clock. */
export function requestSignal(
  client: AbortSignal,
  timeoutMs: number,
): { readonly signal: AbortSignal; readonly stop: () => void } {
  const controller = new AbortController();
  const timer = setTimeout(() => {
    controller.abort(
      new AppError("deadline_exceeded", `The answer was not ready within ${timeoutMs} ms.`),
    );
  }, timeoutMs);
  const gone = (): void => {
    controller.abort(new AppError("canceled", "The caller went away."));
  };
  if (client.aborted) gone();
  else client.addEventListener("abort", gone, { once: true });
  return { signal: controller.signal, stop: () => clearTimeout(timer) };
}
