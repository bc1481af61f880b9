// What the door tells of a request in its spans and its log line, and what it never tells.
import { readFileSync } from "node:fs";
import { AppError } from "@blip2-edge/shared/problem";
import { writeFrame } from "@blip2-edge/shared/wire/frame";
import { createSigner, createVerifier, parseSigningKeys } from "@blip2-edge/shared/wire/signature";
import { ExportResultCode } from "@opentelemetry/core";
import type { ReadableSpan } from "@opentelemetry/sdk-trace";
import { expect, test } from "vitest";
import type { Dispatched } from "../engine/dispatcher.ts";
import { createLog } from "../observe/log.ts";
import { createMetrics } from "../observe/metrics.ts";
import { createTracing } from "../observe/tracing.ts";
import { createDoor } from "./app.ts";

const size = 14;
const secret = "0123456789abcdef0123456789abcdef";
const keys = parseSigningKeys(`the-key:${secret}`);
const request = {
  model: "nano",
  model_revision: "0123456789abcdef",
  partition: "a".repeat(32),
  image: { image_id: `img_${"b".repeat(64)}`, size },
  texts: ["Question: is this a private matter? Answer:"],
  generation: {},
  deadline_ms: 1000,
  priority: "bulk",
};
const outcome: Dispatched = {
  kind: "generate",
  results: [
    {
      text: "a secret garden",
      token_ids: [5, 6, 2],
      finish_reason: "stop",
      log_prob: -0.1,
      usage: { image_tokens: 4, prompt_tokens: 9, completion_tokens: 3 },
    },
  ],
  firstTokenMs: 17,
  visionPasses: 1,
  stages: { wait: 1, vision: 12, prefill: 4, decode: 6 },
  detail: { visionImages: 2, decodeRuns: 1, decodeSteps: 2, meanRows: 5.5 },
  queueMs: 3,
};
const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const traceparent = `00-${traceId}-00f067aa0ba902b7-01`;

interface Sent {
  readonly path?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signed?: boolean;
}

/** The answer to one request to a door, what it logged and the spans that it made. */
async function ask(sent: Sent, run = (): Promise<Dispatched> => Promise.resolve(outcome)) {
  const spans: ReadableSpan[] = [];
  const lines: Record<string, unknown>[] = [];
  const tracing = createTracing(
    { endpoint: "http://unused.invalid", sampleRatio: 1 },
    {
      exporter: {
        export(batch, done) {
          spans.push(...batch);
          done({ code: ExportResultCode.SUCCESS });
        },
        shutdown: () => Promise.resolve(),
      },
    },
  );
  const app = createDoor({
    engine: {
      state: "ready",
      models: [
        {
          model: "nano",
          model_revision: request.model_revision,
          family: "opt",
          image_size: size,
          abilities: ["caption", "vqa"],
          question_template: "Question: {} Answer:",
        },
      ],
      holds: () => false,
      retryAfterS: () => 7,
      reload: () => Promise.resolve([]),
    },
    dispatcher: { run },
    verifier: createVerifier({ keys }),
    metrics: createMetrics({
      load: () => ({ interactive: { waiting: 0, workMs: 0 }, bulk: { waiting: 0, workMs: 0 } }),
      jobsRunning: () => 0,
      featureStoreBytes: () => 0,
      engineRestarts: () => 0,
      engineReady: () => true,
      nodeReady: () => true,
      models: () => [],
      doorRssBytes: () => 0,
      doorLoopLag: () => ({ p50Ms: 0, p99Ms: 0, maxMs: 0 }),
    }),
    log: createLog((line) => void lines.push(JSON.parse(line) as Record<string, unknown>)),
    tracing,
  });
  const { path = "/v1/infer", body: json = request, headers = {}, signed = true } = sent;
  const method = path === "/v1/infer" ? "POST" : "GET";
  const url = `http://node.test${path}`;
  const frame = writeFrame({
    json: JSON.stringify(json),
    pixels: new Uint8Array(size * size * 3).fill(9),
  });
  const content = method === "POST" ? frame : {};
  const signature = signed ? await createSigner({ keys }).sign({ method, url, ...content }) : {};
  const response = await app.request(url, {
    method,
    headers: { ...signature, ...headers },
    ...(method === "POST" ? { body: frame.body as Uint8Array<ArrayBuffer> } : {}),
  });
  await response.text();
  await tracing.stop();
  return { response, spans, lines, server: spans.find(({ name }) => name.includes(" ")) };
}

test("a request is in its caller's trace, in its spans and in its log line", async () => {
  const { response, spans, lines, server } = await ask({ headers: { traceparent } });
  expect(response.status).toBe(200);
  expect(spans.map(({ name }) => name)).toEqual([
    "queue",
    "wait",
    "vision",
    "prefill",
    "decode",
    "POST /v1/infer",
  ]);
  expect(new Set(spans.map((span) => span.spanContext().traceId))).toEqual(new Set([traceId]));
  expect(server?.attributes).toMatchObject({
    "http.route": "/v1/infer",
    "gen_ai.request.model": "nano",
    "gen_ai.usage.input_tokens": 13,
    "gen_ai.usage.output_tokens": 3,
    "gen_ai.response.finish_reasons": ["stop"],
    "blip2.priority": "bulk",
  });
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatchObject({
    event: "request",
    trace_id: traceId,
    route: "/v1/infer",
    outcome: "ok",
    model: "nano",
    priority: "bulk",
    texts: 1,
    tokens: 3,
    first_token_ms: 20,
    per_token_ms: 3,
    vision_passes: 1,
    vision_images: 2,
    decode_runs: 1,
    decode_steps: 2,
    mean_rows: 5.5,
    queue_ms: 3,
    wait_ms: 1,
    decode_ms: 6,
  });
  expect(response.headers.get("server-timing")).toMatch(
    /^queue;dur=3, wait;dur=1, vision;dur=12, prefill;dur=4, decode;dur=6, total;dur=[\d.]+$/,
  );
});

test("neither spans nor the log hold texts, ids of pictures, partitions or secrets", async () => {
  const { spans, lines } = await ask({ headers: { traceparent, tracestate: "vendor=private" } });
  const ofSpans = JSON.stringify([
    spans.map(({ name, attributes, events, status, links }) => [
      name,
      attributes,
      events,
      status,
      links,
    ]),
    spans.map((span) => span.spanContext().traceState?.serialize()),
  ]);
  const told = JSON.stringify(lines) + ofSpans;
  for (const hidden of [
    "private",
    "secret",
    "garden",
    request.image.image_id.slice(4, 20),
    request.partition.slice(0, 16),
    secret,
  ]) {
    expect(told).not.toContain(hidden);
  }
  // Which key has signed is for the log, by which its replacement is followed.
  expect(lines[0]?.["key_id"]).toBe("the-key");
  expect(ofSpans).not.toContain("the-key");
});

test.each([
  "nonsense",
  `00-${"0".repeat(32)}-00f067aa0ba902b7-01`,
  `ff-${traceId}-00f067aa0ba902b7-01`,
  `00-${traceId.toUpperCase()}-00f067aa0ba902b7-01`,
])("the traceparent %s is ignored: the trace begins here", async (malformed) => {
  const { response, server, lines } = await ask({ headers: { traceparent: malformed } });
  expect(response.status).toBe(200);
  expect(server?.parentSpanContext).toBeUndefined();
  expect(lines[0]?.["trace_id"]).toBe(server?.spanContext().traceId);
  expect(lines[0]?.["trace_id"]).not.toBe(traceId);
});

test("the page of what a node shows has every field, span and attribute", async () => {
  const { spans, lines } = await ask({ headers: { traceparent } });
  const refused = await ask({ headers: { traceparent } }, () =>
    Promise.reject(new AppError("overloaded", "full", { retryAfterS: 3, internal: "why" })),
  );
  const all = [...spans, ...refused.spans];
  const shown = [
    ...[...lines, ...refused.lines].flatMap((line) => Object.keys(line)),
    ...all.flatMap(({ name, attributes }) => [name, ...Object.keys(attributes)]),
    ...all.flatMap(({ events }) => events.map(({ name }) => name)),
  ];
  const page = readFileSync(new URL("../../../docs/observability.md", import.meta.url), "utf8");
  expect(new Set(shown).size).toBeGreaterThan(40);
  expect(shown.filter((name) => !page.includes(`\`${name}`))).toEqual([]);
});

test("who cannot sign leaves no span and names no trace", async () => {
  const { response, spans, lines } = await ask({ headers: { traceparent }, signed: false });
  expect(response.status).toBe(401);
  expect(spans).toEqual([]);
  expect(lines[0]).toMatchObject({ outcome: "signature_invalid" });
  expect(lines[0]).not.toHaveProperty("trace_id");
});

test("reading the metrics leaves no span, asking for the catalogue does", async () => {
  expect((await ask({ path: "/metrics" })).spans).toEqual([]);
  const { spans } = await ask({ path: "/v1/catalog" });
  expect(spans.map(({ name }) => name)).toEqual(["GET /v1/catalog"]);
});

test("a job that was refused says of which model and priority, and why by its code alone", async () => {
  const { response, spans, lines } = await ask({ headers: { traceparent } }, () =>
    Promise.reject(new AppError("overloaded", "a secret reason", { retryAfterS: 3 })),
  );
  expect(response.status).toBe(503);
  expect(spans).toHaveLength(1);
  expect(spans[0]?.status).toMatchObject({ message: "overloaded" });
  expect(spans[0]?.attributes).toMatchObject({
    "error.type": "overloaded",
    "gen_ai.request.model": "nano",
    "blip2.priority": "bulk",
  });
  expect(lines[0]).toMatchObject({ trace_id: traceId, model: "nano", priority: "bulk" });
});

test("an address that is no route is not shown", async () => {
  const { spans } = await ask({ path: "/v1/private-matter", headers: { traceparent } });
  expect(spans.map(({ name }) => name)).toEqual(["GET"]);
  expect(JSON.stringify(spans.map(({ attributes }) => attributes))).not.toContain("private");
});
