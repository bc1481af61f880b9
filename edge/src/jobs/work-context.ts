// The context of work that no request waits for: of its own id, deadline, trace and log line, on the account of a key.
import type { Caller } from "../auth/caller.ts";
import { servedReport } from "../cache/served.ts";
import { noWishes, requestSignal, type AuthenticatedContext } from "../context.ts";
import type { PictureMemory } from "../images/picture-memory.ts";
import { writeEvent, type LogEvent, type WriteLine } from "../log.ts";
import { describeHops } from "../observe/describe-hops.ts";
import { hopRecord } from "../observe/hops.ts";
import { traceOf } from "../observe/trace.ts";
import { writeUsagePoint, type UsagePoints } from "../usage/data-point.ts";
import { limitReport } from "../usage/limit-headers.ts";

export interface WorkOptions {
  readonly memory: PictureMemory;
  readonly timeoutMs: number;
  readonly traceRatio: number;
  readonly usagePoints: UsagePoints | undefined;
  readonly write: WriteLine;
  readonly later: (work: Promise<unknown>) => void;
  readonly now: () => number;
  /** Ends the work; it ends by itself when its time is over. */
  readonly signal?: AbortSignal;
}

/** Runs `work`, and writes the one line about it however it ends. */
export async function inWorkContext<Result>(
  options: WorkOptions,
  what: { readonly id: string; readonly caller: Caller; readonly event: LogEvent },
  work: (context: AuthenticatedContext) => Promise<Result>,
): Promise<Result> {
  const { timeoutMs, now, signal: outer = new AbortController().signal } = options;
  const { id, caller, event } = what;
  const startedAt = now();
  const trace = traceOf(undefined, options.traceRatio);
  const hops = hopRecord(trace, now);
  event["at"] = new Date(startedAt).toISOString();
  event["trace_id"] = trace.traceId;
  event["key_id"] = caller.keyId;
  event["tenant"] = caller.tenant;
  const { signal, stop } = requestSignal(outer, timeoutMs);
  const memory = options.memory.share();
  try {
    return await work({
      requestId: id,
      startedAt,
      signal,
      remainingMs: () => startedAt + timeoutMs - now(),
      ...{ event, trace, hops },
      limits: limitReport(),
      served: servedReport(),
      wishes: noWishes,
      memory,
      later: (more) => options.later(more.catch(() => {})),
      caller,
      priority: "bulk",
    });
  } finally {
    stop();
    memory.keep(0);
    event["duration_ms"] = now() - startedAt;
    describeHops(event, hops.done);
    writeEvent(event, options.write);
    if (options.usagePoints !== undefined) writeUsagePoint(options.usagePoints, event);
  }
}
