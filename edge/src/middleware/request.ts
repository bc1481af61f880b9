// Around every request: its id, its deadline, its place in a trace, and its one line in the log.
import type { MiddlewareHandler } from "hono";
import { rungOf, servedReport } from "../cache/served.ts";
import type { Env } from "../env.ts";
import type { PictureMemory } from "../images/picture-memory.ts";
import { requestSignal, type CacheWishes } from "../context.ts";
import { directivesOf } from "../cache-control.ts";
import { describeError, writeEvent, type LogEvent, type WriteLine } from "../log.ts";
import { describeHops } from "../observe/describe-hops.ts";
import { hopRecord, hopTimes, nodeTimes, type Hop } from "../observe/hops.ts";
import { writeServerTiming } from "../observe/server-timing.ts";
import type { TracedRequest } from "../observe/spans.ts";
import { traceOf, type RequestTrace } from "../observe/trace.ts";
import type { ExportTrace } from "../observe/trace-export.ts";
import { writeUsagePoint, type UsagePoints } from "../usage/data-point.ts";
import { limitHeaders, limitReport } from "../usage/limit-headers.ts";
import { AppError } from "@blip2-edge/shared/problem";
import { traceparentHeader } from "@blip2-edge/shared/wire/traceparent";

export interface RequestOptions {
  readonly timeoutMs: number;
  readonly traceRatio: number;
  readonly write: WriteLine;
  readonly memory: PictureMemory;
  /** Where usage is counted for dashboards, if anywhere. */
  readonly usagePoints?: UsagePoints | undefined;
  /** Hears of answered requests that are traced; only of those with a valid key, so that no stranger fills it. */
  readonly exportTrace?: ExportTrace | undefined;
  readonly now?: () => number;
  readonly newId?: () => string;
}

const randomId = (): string => `req_${crypto.randomUUID().replaceAll("-", "")}`;

export function requestContext(options: RequestOptions): MiddlewareHandler<Env> {
  const { timeoutMs, traceRatio, write, memory: pictures, usagePoints, exportTrace } = options;
  const { now = Date.now, newId = randomId } = options;
  return async (c, next) => {
    const startedAt = now();
    const requestId = newId();
    const trace = traceOf(c.req.header(traceparentHeader), traceRatio);
    const hops = hopRecord(trace, now);
    const event: LogEvent = {
      event: "request",
      at: new Date(startedAt).toISOString(),
      request_id: requestId,
      trace_id: trace.traceId,
      method: c.req.method,
    };
    const { signal, stop } = requestSignal(c.req.raw.signal, timeoutMs);
    const limits = limitReport();
    const served = servedReport();
    const memory = pictures.share();
    let lasting: Promise<unknown> | undefined;
    c.set("context", {
      requestId,
      startedAt,
      origin: new URL(c.req.raw.url).origin,
      signal,
      remainingMs: () => startedAt + timeoutMs - now(),
      event,
      trace,
      hops,
      limits,
      served,
      wishes: wishesOf(c.req.header("cache-control")),
      memory,
      later: (work) => c.executionCtx.waitUntil(work.catch(() => {})),
    });
    c.set("lastsUntil", (work) => {
      lasting = work;
    });
    await next();
    const answeredMs = now() - startedAt;
    const end = (error: unknown, durationMs: number): void => {
      stop();
      memory.keep(0);
      event["status"] = c.res.status;
      event["duration_ms"] = durationMs;
      describeHops(event, hops.done);
      if (error !== undefined) describeFault(event, error);
      writeEvent(event, write);
      if (usagePoints !== undefined) writeUsagePoint(usagePoints, event);
      if (exportTrace !== undefined && trace.sampled && event["key_id"] !== undefined) {
        const times = { startMs: startedAt, endMs: startedAt + durationMs };
        c.executionCtx.waitUntil(exportTrace(tracedRequest(trace, times, event, hops.done)));
      }
    };
    c.res.headers.set("x-request-id", requestId);
    c.res.headers.set("server-timing", timingsOf(hops.done, answeredMs, lasting !== undefined));
    c.res.headers.set("x-content-type-options", "nosniff");
    const rung = c.error === undefined ? rungOf(served) : undefined;
    if (rung !== undefined) c.res.headers.set("blip2-served", rung);
    event["served"] = rung;
    for (const [name, value] of Object.entries(limitHeaders(limits, now()))) {
      c.res.headers.set(name, value);
    }
    if (lasting === undefined) return end(c.error, answeredMs);
    event["answered_ms"] = answeredMs;
    const endNow = (error?: unknown): void => end(error, now() - startedAt);
    c.executionCtx.waitUntil(lasting.then(() => endNow(), endNow));
  };
}

function wishesOf(header = ""): CacheWishes {
  const wishes = directivesOf(header);
  return {
    noStore: wishes.has("no-store"),
    noCache: wishes.has("no-cache") || wishes.get("max-age") === "0",
  };
}

/** Field by field, so that nothing else of the log line leaves with it. */
function tracedRequest(
  trace: RequestTrace,
  times: { readonly startMs: number; readonly endMs: number },
  event: LogEvent,
  hops: readonly Hop[],
): TracedRequest {
  const text = (name: string): string | undefined => {
    const value = event[name];
    return typeof value === "string" ? value : undefined;
  };
  return {
    ...{ trace, ...times, hops },
    method: text("method") ?? "",
    route: text("route"),
    status: Number(event["status"]),
    problem: text("problem"),
    model: text("model"),
    modelRevision: text("model_revision"),
    cache: text("cache"),
    served: text("served"),
    inferences: event["inferences"] === undefined ? undefined : Number(event["inferences"]),
  };
}

/** Of a stream the time until it begins is told: its end is not known when its head is sent. */
function timingsOf(hops: readonly Hop[], ms: number, streams: boolean): string {
  const ofNodes = Array.from(nodeTimes(hops), ([stage, took]) => [`node-${stage}`, took] as const);
  return writeServerTiming([...hopTimes(hops), ...ofNodes, [streams ? "begin" : "total", ms]]);
}

/** The problem's words are not in the log: some quote the request, and the caller has them. */
function describeFault(event: LogEvent, error: unknown): void {
  if (error instanceof AppError) {
    event["problem"] = error.code;
    event["internal"] = error.internal;
    if (error.cause !== undefined) event["cause"] = describeError(error.cause);
    return;
  }
  event["problem"] = "internal";
  event["cause"] = describeError(error);
  event["stack"] = error instanceof Error ? error.stack : undefined;
}
