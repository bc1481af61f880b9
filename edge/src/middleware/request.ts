// Around every request: its id, its deadline, and its one line in the log.
import type { MiddlewareHandler } from "hono";
import type { Env } from "../env.ts";
import type { PictureMemory } from "../images/picture-memory.ts";
import { requestSignal } from "../context.ts";
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
    const memory = pictures.share();
    let lasting: Promise<unknown> | undefined;
    c.set("context", {
      requestId,
      signal,
      remainingMs: () => startedAt + timeoutMs - now(),
      event,
      limits,
      memory,
      later: (work) => c.executionCtx.waitUntil(work.catch(() => {})),
      lastsUntil: (work) => {
        lasting = work;
      },
    });
    await next();
    const answeredMs = now() - startedAt;
    const end = (error: unknown): void => {
      stop();
      memory.keep(0);
      event["status"] = c.res.status;
      event["duration_ms"] = now() - startedAt;
      if (error !== undefined) describeFault(event, error);
      writeEvent(event, write);
    };
    c.res.headers.set("x-request-id", requestId);
    c.res.headers.set(
      "server-timing",
      `${lasting === undefined ? "total" : "begin"};dur=${answeredMs}`,
    );
    c.res.headers.set("x-content-type-options", "nosniff");
    for (const [name, value] of Object.entries(limitHeaders(limits, now()))) {
      c.res.headers.set(name, value);
    }
    if (lasting === undefined) return end(c.error);
    event["answered_ms"] = answeredMs;
    c.executionCtx.waitUntil(lasting.then(() => end(undefined), end));
  };
}

function describeFault(event: LogEvent, error: unknown): void {
  if (error instanceof AppError) {
    event["problem"] = error.code;
    event["detail"] = error.detail;
    event["internal"] = error.internal;
    if (error.cause !== undefined) event["cause"] = describeError(error.cause);
    return;
  }
  event["problem"] = "internal";
  event["cause"] = describeError(error);
  event["stack"] = error instanceof Error ? error.stack : undefined;
}
