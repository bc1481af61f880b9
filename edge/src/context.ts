// One request's own things, made by the middleware and read by the routes: plain data and a clock.
import { AppError } from "@blip2-edge/shared/problem";
import type { Caller } from "./auth/caller.ts";
import type { ServedReport } from "./cache/served.ts";
import type { MemoryShare } from "./images/picture-memory.ts";
import type { LogEvent } from "./log.ts";
import type { Hops } from "./observe/hops.ts";
import type { RequestTrace } from "./observe/trace.ts";
import type { LimitReport } from "./usage/limit-headers.ts";

export interface CacheWishes {
  /** Keep nothing of this. */
  readonly noStore: boolean;
  /** Ask whether a picture behind a URL has changed, however fresh it is. */
  readonly noCache: boolean;
}

export const noWishes: CacheWishes = { noStore: false, noCache: false };

export interface RequestContext {
  readonly requestId: string;
  /** Unix milliseconds. */
  readonly startedAt: number;
  /** `scheme://host:port` under which the Worker was asked; undefined where no request came in. */
  readonly origin?: string;
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
  /** What the request asks of caches (Cache-Control, RFC 9111 5.2.1). */
  readonly wishes: CacheWishes;
  /** What the answer will tell of where it came from. */
  readonly served: ServedReport;
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

/** Whether the request or its key wants nothing to be kept; then nothing that is kept is used, either. */
export const keepsNothing = ({ wishes, caller }: Pick<AuthenticatedContext, "wishes" | "caller">) =>
  wishes.noStore || caller.noStore;

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
