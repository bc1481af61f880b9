// Around every request: its id, its deadline, and its one line in the log.
import type { MiddlewareHandler } from "hono";
import { rungOf, servedReport } from "../cache/served.ts";
import type { Env } from "../env.ts";
import type { PictureMemory } from "../images/picture-memory.ts";
import { requestSignal, type CacheWishes } from "../context.ts";
import { directivesOf } from "../cache-control.ts";
import { describeError, writeEvent, type LogEvent, type WriteLine } from "../log.ts";
import { limitHeaders, limitReport } from "../usage/limit-headers.ts";
import { AppError } from "@blip2-edge/shared/problem";

export interface RequestOptions {
  readonly timeoutMs: number;
  readonly write: WriteLine;
  readonly memory: PictureMemory;
  readonly now?: () => number;
  readonly newId?: () => string;
}

const randomId = (): string => `req_${crypto.randomUUID().replaceAll("-", "")}`;

export function requestContext(options: RequestOptions): MiddlewareHandler<Env> {
  const { timeoutMs, write, memory: pictures, now = Date.now, newId = randomId } = options;
  return async (c, next) => {
    const startedAt = now();
    const requestId = newId();
    const event: LogEvent = {
      event: "request",
      at: new Date(startedAt).toISOString(),
      request_id: requestId,
      method: c.req.method,
      path: c.req.path,
    };
    const { signal, stop } = requestSignal(c.req.raw.signal, timeoutMs);
    const limits = limitReport();
    const served = servedReport();
    const memory = pictures.share();
    c.set("context", {
      requestId,
      startedAt,
      signal,
      remainingMs: () => startedAt + timeoutMs - now(),
      event,
      limits,
      served,
      wishes: wishesOf(c.req.header("cache-control")),
      memory,
      later: (work) => c.executionCtx.waitUntil(work.catch(() => {})),
    });
    await next();
    stop();
    memory.keep(0);
    const durationMs = now() - startedAt;
    c.res.headers.set("x-request-id", requestId);
    c.res.headers.set("server-timing", `total;dur=${durationMs}`);
    c.res.headers.set("x-content-type-options", "nosniff");
    const rung = c.error === undefined ? rungOf(served) : undefined;
    if (rung !== undefined) c.res.headers.set("blip2-served", rung);
    event["served"] = rung;
    for (const [name, value] of Object.entries(limitHeaders(limits, now()))) {
      c.res.headers.set(name, value);
    }
    event["status"] = c.res.status;
    event["duration_ms"] = durationMs;
    if (c.error !== undefined) describeFault(event, c.error);
    writeEvent(event, write);
  };
}

function wishesOf(header = ""): CacheWishes {
  const wishes = directivesOf(header);
  return {
    noStore: wishes.has("no-store"),
    noCache: wishes.has("no-cache") || wishes.get("max-age") === "0",
  };
}

function describeFault(event: LogEvent, error: Error): void {
  if (error instanceof AppError) {
    event["problem"] = error.code;
    event["detail"] = error.detail;
    event["internal"] = error.internal;
    if (error.cause !== undefined) event["cause"] = describeError(error.cause);
    return;
  }
  event["problem"] = "internal";
  event["cause"] = describeError(error);
  event["stack"] = error.stack;
}
