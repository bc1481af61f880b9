import { context, propagation, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { ExportResultCode } from "@opentelemetry/core";
import type { ReadableSpan, SpanExporter } from "@opentelemetry/sdk-trace";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type Collector, startCollector } from "../../../test/support/otlp-collector.ts";
import { createLog } from "./log.ts";
import { openTracing, tellOf } from "./open-tracing.ts";
import { noTracing, type TracedRequest } from "./traced-request.ts";
import { createTracing } from "./tracing.ts";

const caller = {
  traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
  spanId: "00f067aa0ba902b7",
  sampled: true,
};
/** The wall clock when the door's clock is at 0. */
const epochMs = 1_800_000_000_000;
const request: TracedRequest = {
  caller,
  method: "POST",
  route: "/v1/infer",
  status: 200,
  outcome: "ok",
  bodyBytes: 1234,
  startMs: 1000,
  endMs: 1400.5,
  firstTokenAtMs: 1150,
  stages: [
    { stage: "queue", startMs: 1001, endMs: 1010 },
    { stage: "vision", startMs: 1010, endMs: 1100 },
    { stage: "prefill", startMs: 1100, endMs: 1150 },
    { stage: "decode", startMs: 1150, endMs: 1399.25 },
  ],
  job: {
    kind: "generate",
    model: "nano",
    modelRevision: "0123456789abcdef",
    priority: "interactive",
    items: 2,
    visionPasses: 1,
    inputTokens: 70,
    outputTokens: 24,
    finishReasons: ["stop", "length"],
    detail: { visionImages: 3, decodeRuns: 4, decodeSteps: 12, meanRows: 7.5 },
  },
};

const collectors: Collector[] = [];
afterEach(async () => {
  for (const collector of collectors.splice(0)) await collector.close();
});
const collect = async (status?: number): Promise<Collector> => {
  const collector = await startCollector(status);
  collectors.push(collector);
  return collector;
};

/** Spans of the requests, as they come to an exporter in memory. */
async function spansOf(requests: readonly TracedRequest[], { sampleRatio = 1 } = {}) {
  const spans: ReadableSpan[] = [];
  const exporter: SpanExporter = {
    export(batch, done) {
      spans.push(...batch);
      done({ code: ExportResultCode.SUCCESS });
    },
    shutdown: () => Promise.resolve(),
  };
  const tracing = createTracing(
    { endpoint: "http://unused.invalid", sampleRatio },
    { exporter, now: () => 2000, wallNow: () => epochMs + 2000 },
  );
  const ids = requests.map((each) => tracing.request(each));
  await tracing.stop();
  return { spans, ids };
}
const byName = (spans: readonly ReadableSpan[], name: string): ReadableSpan => {
  const span = spans.find((each) => each.name === name);
  if (span === undefined) throw new Error(`no span ${name}`);
  return span;
};
const at = (ms: number): [number, number] => [
  Math.floor((epochMs + ms) / 1000),
  Math.round((ms % 1000) * 1e6),
];

describe("one request", () => {
  test("is one server span in the caller's trace, with a child for each stage", async () => {
    const { spans, ids } = await spansOf([request]);
    expect(ids).toEqual([caller.traceId]);
    const server = byName(spans, "POST /v1/infer");
    expect(server.kind).toBe(SpanKind.SERVER);
    expect(server.parentSpanContext).toMatchObject({ spanId: caller.spanId, isRemote: true });
    expect([server.startTime, server.endTime]).toEqual([at(1000), at(1400.5)]);
    expect(server.status).toEqual({ code: SpanStatusCode.UNSET });
    expect(server.events).toMatchObject([{ name: "first_token", time: at(1150) }]);
    const children = spans.filter((span) => span !== server);
    expect(children.map(({ name, kind }) => [name, kind])).toEqual(
      ["queue", "vision", "prefill", "decode"].map((name) => [name, SpanKind.INTERNAL]),
    );
    for (const child of children) {
      expect(child.spanContext().traceId).toBe(caller.traceId);
      expect(child.parentSpanContext?.spanId).toBe(server.spanContext().spanId);
    }
    const decode = byName(spans, "decode");
    expect([decode.startTime, decode.endTime]).toEqual([at(1150), at(1399.25)]);
  });

  test("has the attributes of the conventions, and these alone", async () => {
    const { spans } = await spansOf([request]);
    expect(byName(spans, "POST /v1/infer").attributes).toEqual({
      "http.request.method": "POST",
      "http.route": "/v1/infer",
      "http.response.status_code": 200,
      "http.request.body.size": 1234,
      "url.path": "/v1/infer",
      "url.scheme": "http",
      "gen_ai.operation.name": "generate_content",
      "gen_ai.provider.name": "blip2-edge",
      "gen_ai.request.model": "nano",
      "gen_ai.usage.input_tokens": 70,
      "gen_ai.usage.output_tokens": 24,
      "gen_ai.response.finish_reasons": ["stop", "length"],
      "blip2.items": 2,
      "blip2.vision_passes": 1,
      "blip2.model_revision": "0123456789abcdef",
      "blip2.priority": "interactive",
    });
    expect(byName(spans, "queue").attributes).toEqual({});
    expect(byName(spans, "vision").attributes).toEqual({ "blip2.batch.images": 3 });
    expect(byName(spans, "decode").attributes).toEqual({
      "blip2.decode.runs": 4,
      "blip2.decode.steps": 12,
      "blip2.batch.mean_rows": 7.5,
    });
    const { resource, instrumentationScope } = byName(spans, "queue");
    expect(resource.attributes).toMatchObject({ "service.name": "blip2-node" });
    expect(instrumentationScope.name).toBe("blip2-edge");
  });

  test.each([
    [503, "overloaded", SpanStatusCode.ERROR],
    [500, "internal", SpanStatusCode.ERROR],
    // A stream that had begun with 200.
    [200, "engine_restarted", SpanStatusCode.ERROR],
    [400, "invalid_request", SpanStatusCode.UNSET],
    [499, "canceled", SpanStatusCode.UNSET],
  ] as const)("status %i with %s is told as the conventions say", async (status, outcome, code) => {
    const { spans } = await spansOf([{ ...request, status, outcome, stages: [] }]);
    expect(spans).toHaveLength(1);
    expect(spans[0]?.status).toEqual(
      code === SpanStatusCode.ERROR ? { code, message: outcome } : { code },
    );
    expect(spans[0]?.attributes["error.type"]).toBe(outcome);
  });

  test("what is no route shows no path", async () => {
    const { job: _, ...about } = request;
    const { spans } = await spansOf([{ ...about, route: undefined, stages: [] }]);
    expect(spans[0]?.name).toBe("POST");
    expect(spans[0]?.attributes).not.toHaveProperty("url.path");
  });
});

describe("sampling", () => {
  const own = { ...request, caller: undefined };
  test("a caller that does not sample is obeyed, and its trace still named", async () => {
    const { spans, ids } = await spansOf([{ ...request, caller: { ...caller, sampled: false } }]);
    expect([spans, ids]).toEqual([[], [caller.traceId]]);
  });
  test("a caller that samples is obeyed, whatever the node's own part is", async () => {
    expect((await spansOf([request], { sampleRatio: 0 })).spans).toHaveLength(5);
  });
  test("a request without a trace begins one, in the part that is asked for", async () => {
    const all = await spansOf([own, own]);
    expect(new Set(all.ids).size).toBe(2);
    expect(all.spans).toHaveLength(10);
    expect(byName(all.spans, "POST /v1/infer").parentSpanContext).toBeUndefined();
    expect((await spansOf([own, own], { sampleRatio: 0 })).spans).toEqual([]);
    const many = Array.from({ length: 400 }, () => ({ ...own, stages: [] }));
    const some = (await spansOf(many, { sampleRatio: 0.25 })).spans.length;
    // Binomial: 100 expected, 8.7 standard deviation.
    expect(some).toBeGreaterThan(40);
    expect(some).toBeLessThan(160);
  });
});

describe("a collector", () => {
  test("gets OTLP/HTTP JSON with the caller's trace id, at v1/traces below its address", async () => {
    const collector = await collect();
    const told: unknown[] = [];
    const tracing = createTracing(
      { endpoint: `${collector.endpoint}/otlp/`, sampleRatio: 1 },
      { onExport: (...all) => void told.push(all) },
    );
    const now = performance.now();
    const shift = now - request.endMs;
    const before = Date.now();
    tracing.request({
      ...request,
      startMs: request.startMs + shift,
      endMs: now,
      stages: request.stages.map(({ stage, startMs, endMs }) => ({
        stage,
        startMs: startMs + shift,
        endMs: endMs + shift,
      })),
    });
    await tracing.stop();
    expect(told).toEqual([["exported", 5]]);
    expect(collector.requests).toHaveLength(1);
    expect(collector.requests[0]).toMatchObject({
      path: "/otlp/v1/traces",
      contentType: "application/json",
    });
    const spans = collector.spans();
    expect(spans.map(({ name }) => name)).toEqual([
      "queue",
      "vision",
      "prefill",
      "decode",
      "POST /v1/infer",
    ]);
    expect(new Set(spans.map(({ traceId }) => traceId))).toEqual(new Set([caller.traceId]));
    const server = spans.at(-1);
    expect(server?.parentSpanId).toBe(caller.spanId);
    const nanos = (text = "") => Number(BigInt(text) / 1000n) / 1000;
    const [start, end] = [nanos(server?.startTimeUnixNano), nanos(server?.endTimeUnixNano)];
    expect(end - start).toBeCloseTo(400.5, 1);
    expect(Math.abs(end - before)).toBeLessThan(1000);
  });

  test("that refuses costs spans and is heard of", async () => {
    const collector = await collect(400);
    const told: unknown[][] = [];
    const tracing = createTracing(
      { endpoint: collector.endpoint, sampleRatio: 1 },
      { onExport: (...all) => void told.push(all) },
    );
    expect(tracing.request(request)).toBe(caller.traceId);
    await tracing.stop();
    expect(told).toEqual([["failed", 5, expect.any(String)]]);
  });

  test("that never answers does not hold the end up", async () => {
    const collector = await collect();
    const silent = createTracing(
      { endpoint: collector.endpoint, sampleRatio: 1 },
      { exporter: { export: () => {}, shutdown: () => Promise.resolve() }, stopWithinMs: 30 },
    );
    silent.request(request);
    await silent.stop();
    expect(silent.request(request)).toBe(caller.traceId);
  });

  test("an exporter that throws disturbs nobody", async () => {
    const exporter: SpanExporter = {
      export() {
        throw new Error("broken");
      },
      shutdown: () => Promise.resolve(),
    };
    const tracing = createTracing(
      { endpoint: "http://unused.invalid", sampleRatio: 1 },
      { exporter, stopWithinMs: 30 },
    );
    expect(tracing.request(request)).toBe(caller.traceId);
    await tracing.stop();
  });

  test("failure and recovery are logged once each, spans counted always", () => {
    const lines: unknown[] = [];
    const log = createLog((line) => void lines.push(JSON.parse(line)));
    const spans = vi.fn();
    const tell = tellOf({ log, metrics: { spans } });
    tell("exported", 1);
    tell("failed", 2, "no route to host");
    tell("failed", 3, "no route to host");
    tell("exported", 4);
    tell("exported", 5);
    expect(lines).toMatchObject([
      { level: "warn", event: "trace_export_failed", spans: 2, reason: "no route to host" },
      { level: "info", event: "trace_export_resumed" },
    ]);
    expect(spans.mock.calls.map(([, count]: unknown[]) => count)).toEqual([1, 2, 3, 4, 5]);
  });
});

test("nothing is registered globally", async () => {
  await spansOf([request]);
  expect(trace.getTracer("x").startSpan("x").isRecording()).toBe(false);
  expect(context.active().getValue(Symbol("x"))).toBeUndefined();
  expect(propagation.fields()).toEqual([]);
});

test("without a collector nothing is made, and the caller's trace is still named", async () => {
  const rooms = { log: createLog(() => {}), metrics: { spans: () => {} } };
  expect(await openTracing(undefined, rooms)).toBe(noTracing);
  expect(noTracing.request(request)).toBe(caller.traceId);
  expect(noTracing.request({ ...request, caller: undefined })).toBeUndefined();
  await noTracing.stop();
});
