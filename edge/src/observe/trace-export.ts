// Sends the spans of one request to an OpenTelemetry collector after its answer: one call, no retry, a short
// time. A collector that is slow, wrong or away costs spans, never a request; the log says so once.
import type { Fetch } from "../images/fetch.ts";
import { describeError, type LogEvent } from "../log.ts";
import { otlpOf, type TracedRequest } from "./spans.ts";

export interface TraceExportOptions {
  /** Base address of the collector; traces go to `v1/traces` below it. */
  readonly endpoint: string;
  /** What the collector wants to see, such as its key. */
  readonly headers: Readonly<Record<string, string>>;
  readonly fetch: Fetch;
  readonly tell: (event: LogEvent) => void;
  readonly timeoutMs?: number;
}

/** Never throws. */
export type ExportTrace = (request: TracedRequest) => Promise<void>;

export function traceExport(options: TraceExportOptions): ExportTrace {
  const { endpoint, headers, fetch, tell, timeoutMs = 3_000 } = options;
  const url = new URL("v1/traces", endpoint.endsWith("/") ? endpoint : `${endpoint}/`).href;
  // Plain data of the isolate: whether the last export failed.
  let failing = false;
  return async (request) => {
    try {
      const response = await fetch(url, {
        method: "POST",
        headers: { ...headers, "content-type": "application/json" },
        body: otlpOf(request),
        redirect: "manual",
        signal: AbortSignal.timeout(timeoutMs),
      });
      await response.body?.cancel();
      if (!response.ok) throw new Error(`the collector answered ${response.status}`);
      if (failing) tell({ event: "trace_export_resumed" });
      failing = false;
    } catch (error) {
      if (!failing) tell({ event: "trace_export_failed", cause: describeError(error) });
      failing = true;
    }
  };
}
