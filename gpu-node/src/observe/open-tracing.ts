// Tracing as it was asked for. OpenTelemetry is loaded only where there is a collector: it costs memory and
// time to start that a node without one need not pay.
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";
import { noTracing, type Tracing } from "./traced-request.ts";
import type { TracingOptions, TracingSettings } from "./tracing.ts";

export interface TracingRooms {
  readonly log: Log;
  readonly metrics: Pick<Metrics, "spans">;
}

export async function openTracing(
  settings: TracingSettings | undefined,
  rooms: TracingRooms,
): Promise<Tracing> {
  if (settings === undefined) return noTracing;
  const { createTracing } = await import("./tracing.ts");
  return createTracing(settings, { onExport: tellOf(rooms) });
}

/** Every span is counted; the log hears when it begins to fail and when it goes on. */
export function tellOf({ log, metrics }: TracingRooms): NonNullable<TracingOptions["onExport"]> {
  let failing = false;
  return (outcome, spans, why) => {
    metrics.spans(outcome, spans);
    if (failing === (outcome === "failed")) return;
    failing = outcome === "failed";
    if (failing) log.warn("trace_export_failed", { spans, reason: why });
    else log.info("trace_export_resumed");
  };
}
