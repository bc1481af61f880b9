// Spans of answered requests, sent to an OpenTelemetry collector over OTLP/HTTP: the only file that knows
// OpenTelemetry. Nothing is registered globally and nothing is kept of a request while it runs. A collector that
// is slow, wrong or away costs spans, never a request.
import { problemKinds } from "@blip2-edge/shared/problem";
import { type Attributes, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { ExportResultCode } from "@opentelemetry/core";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { defaultResource, resourceFromAttributes } from "@opentelemetry/resources";
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { JobDetail } from "../engine/engine-activity.ts";
import type { TracedJob, TracedRequest, Tracing } from "./traced-request.ts";

export interface TracingSettings {
  /** Base address of the collector; traces go to `v1/traces` below it. */
  readonly endpoint: string;
  /** Of the requests that come with no trace of their own, the part that is traced: 0 to 1. */
  readonly sampleRatio: number;
}

export interface TracingOptions {
  readonly exporter?: SpanExporter;
  /** Hears what became of spans; `why` says why they could not be sent. */
  readonly onExport?: (outcome: "exported" | "failed", spans: number, why?: string) => void;
  /** The monotonic clock of the requests' times, and the wall clock that goes with it. */
  readonly now?: () => number;
  readonly wallNow?: () => number;
  readonly stopWithinMs?: number;
}

const exportTimeoutMs = 3_000;
const exportEveryMs = 2_000;
/** Spans beyond it are dropped: memory has a bound whatever the collector does. */
const maxQueuedSpans = 2_048;
const firstServerError = 500;

export function createTracing(settings: TracingSettings, options: TracingOptions = {}): Tracing {
  const {
    exporter = new OTLPTraceExporter({
      url: tracesUrl(settings.endpoint),
      timeoutMillis: exportTimeoutMs,
    }),
    onExport = () => {},
    now = () => performance.now(),
    wallNow = () => Date.now(),
    stopWithinMs = exportTimeoutMs,
  } = options;
  const provider = new TracerProvider({
    resource: defaultResource().merge(
      resourceFromAttributes({
        "service.name": "blip2-node",
        "service.instance.id": crypto.randomUUID(),
      }),
    ),
    // Who began the trace has decided whether it is kept.
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(settings.sampleRatio) }),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: watched(exporter, onExport),
        maxQueueSize: maxQueuedSpans,
        scheduledDelayMillis: exportEveryMs,
        exportTimeoutMillis: exportTimeoutMs,
      }),
    ],
  });
  const tracer = provider.getTracer("blip2-edge");

  const record = (request: TracedRequest): string => {
    const { caller, method, route, outcome, job } = request;
    // Anchored anew for every request: over weeks the monotonic clock and the wall clock drift apart.
    const offsetMs = wallNow() - now();
    const at = (ms: number): [number, number] => hrTimeOf(offsetMs + ms);
    const parent =
      caller === undefined
        ? ROOT_CONTEXT
        : trace.setSpanContext(ROOT_CONTEXT, {
            traceId: caller.traceId,
            spanId: caller.spanId,
            traceFlags: caller.sampled ? 1 : 0,
            isRemote: true,
          });
    const span = tracer.startSpan(
      route === undefined ? method : `${method} ${route}`,
      {
        kind: SpanKind.SERVER,
        startTime: at(request.startMs),
        attributes: {
          ...httpAttributes(request),
          ...(job === undefined ? {} : jobAttributes(job)),
        },
      },
      parent,
    );
    const inSpan = trace.setSpan(ROOT_CONTEXT, span);
    for (const { stage, startMs, endMs } of request.stages) {
      tracer
        .startSpan(
          stage,
          {
            startTime: at(startMs),
            attributes: stageAttributes(stage, job?.detail),
          },
          inSpan,
        )
        .end(at(endMs));
    }
    if (request.firstTokenAtMs !== undefined) {
      span.addEvent("first_token", at(request.firstTokenAtMs));
    }
    // By convention a server's span has failed when the server has: what the caller did wrong is error.type alone.
    if (outcome !== "ok" && problemKinds[outcome].status >= firstServerError) {
      span.setStatus({ code: SpanStatusCode.ERROR, message: outcome });
    }
    span.end(at(request.endMs));
    return span.spanContext().traceId;
  };

  return {
    request(answered) {
      try {
        return record(answered);
      } catch (error) {
        onExport("failed", 1, String(error));
        return answered.caller?.traceId;
      }
    },
    async stop() {
      const bound = Promise.withResolvers<void>();
      const timer = setTimeout(bound.resolve, stopWithinMs);
      await Promise.race([provider.shutdown().catch(() => {}), bound.promise]);
      clearTimeout(timer);
    },
  };
}

/** OTEL_EXPORTER_OTLP_ENDPOINT is a base, whatever path it has: the signal's own is put below it. */
function tracesUrl(endpoint: string): string {
  return new URL("v1/traces", endpoint.endsWith("/") ? endpoint : `${endpoint}/`).href;
}

const hrTimeOf = (epochMs: number): [number, number] => {
  const seconds = Math.floor(epochMs / 1000);
  return [seconds, Math.round((epochMs - seconds * 1000) * 1e6)];
};

function watched(
  exporter: SpanExporter,
  onExport: NonNullable<TracingOptions["onExport"]>,
): SpanExporter {
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        if (result.code === ExportResultCode.SUCCESS) onExport("exported", spans.length);
        else onExport("failed", spans.length, result.error?.message);
        done(result);
      });
    },
    shutdown: () => exporter.shutdown(),
    forceFlush: async () => exporter.forceFlush?.(),
  };
}

// https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server-span
const httpAttributes = (request: TracedRequest): Attributes => ({
  "http.request.method": request.method,
  "http.response.status_code": request.status,
  "http.request.body.size": request.bodyBytes,
  ...(request.route === undefined
    ? {}
    : { "http.route": request.route, "url.path": request.route }),
  "url.scheme": "http",
  ...(request.outcome === "ok" ? {} : { "error.type": request.outcome }),
});

const operations = {
  generate: "generate_content",
  embed: "embeddings",
  match: "match",
} as const satisfies Record<TracedJob["kind"], string>;

// https://github.com/open-telemetry/semantic-conventions-genai; what it has no word for is under blip2.
const jobAttributes = (job: TracedJob): Attributes => ({
  "gen_ai.operation.name": operations[job.kind],
  "gen_ai.provider.name": "blip2-edge",
  "gen_ai.request.model": job.model,
  ...defined({
    "gen_ai.usage.input_tokens": job.inputTokens,
    "gen_ai.usage.output_tokens": job.outputTokens,
    "gen_ai.response.finish_reasons": job.finishReasons?.slice(),
    "blip2.items": job.items,
    "blip2.vision_passes": job.visionPasses,
  }),
  "blip2.model_revision": job.modelRevision,
  "blip2.priority": job.priority,
});

function stageAttributes(stage: string, detail: JobDetail = {}): Attributes {
  if (stage === "vision") return defined({ "blip2.batch.images": detail.visionImages });
  if (stage !== "decode") return {};
  return defined({
    "blip2.decode.runs": detail.decodeRuns,
    "blip2.decode.steps": detail.decodeSteps,
    "blip2.batch.mean_rows": detail.meanRows,
  });
}

const defined = (attributes: Readonly<Record<string, Attributes[string]>>): Attributes =>
  Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined));
