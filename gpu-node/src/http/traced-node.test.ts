// A whole node, its engine a process of its own, beside a stand-in for a collector: one request is one trace there,
// and the engine's own memory and delays are in the door's metrics.
import { setTimeout as sleep } from "node:timers/promises";
import { writeFrame } from "@blip2-edge/shared/wire/frame";
import { createSigner, parseSigningKeys } from "@blip2-edge/shared/wire/signature";
import { afterAll, beforeAll, expect, test } from "vitest";
import { nanoArtifact } from "../../../test/support/nano-artifact.ts";
import {
  type Collector,
  type OtlpSpan,
  startCollector,
} from "../../../test/support/otlp-collector.ts";
import { createLog } from "../observe/log.ts";
import { type RunningNode, startNode } from "./start-node.ts";

const keys = parseSigningKeys("test:0123456789abcdef0123456789abcdef");
const signer = createSigner({ keys });
const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
const callerSpanId = "00f067aa0ba902b7";
const lines: Record<string, unknown>[] = [];

let collector: Collector;
let node: RunningNode;
beforeAll(async () => {
  const artifact = await nanoArtifact();
  collector = await startCollector();
  node = await startNode(
    {
      host: "127.0.0.1",
      port: 0,
      keys,
      maxQueueMs: 60_000,
      maxJobs: 64,
      drainMs: 5000,
      rssBytes: () => process.memoryUsage.rss(),
      tracing: { endpoint: collector.endpoint, sampleRatio: 0 },
      engine: { modelDirs: [artifact], threads: 1, provider: "cpu", featureStoreMaxBytes: 1 << 24 },
    },
    createLog((line) => void lines.push(JSON.parse(line) as Record<string, unknown>)),
  );
});
afterAll(async () => {
  await node.stop();
  await collector.close();
});

async function get(path: string): Promise<Response> {
  const url = `${node.url}${path}`;
  return fetch(url, { headers: await signer.sign({ method: "GET", url }) });
}

async function caption(headers: Readonly<Record<string, string>>): Promise<Response> {
  const catalog = (await (await get("/v1/catalog")).json()) as {
    models: { model_revision: string }[];
  };
  const frame = writeFrame({
    json: JSON.stringify({
      model: "nano",
      model_revision: catalog.models[0]?.model_revision,
      partition: "1".padStart(32, "0"),
      image: { image_id: `img_${"c".repeat(64)}`, size: 224 },
      texts: [null],
      generation: {},
      deadline_ms: 30_000,
    }),
    pixels: new Uint8Array(224 * 224 * 3).fill(120),
  });
  const url = `${node.url}/v1/infer`;
  return fetch(url, {
    method: "POST",
    headers: { ...(await signer.sign({ method: "POST", url, ...frame })), ...headers },
    body: frame.body as Uint8Array<ArrayBuffer>,
  });
}

const metric = async (series: string): Promise<number> => {
  const found = (await (await get("/metrics")).text())
    .split("\n")
    .find((line) => line.startsWith(`${series} `));
  return Number(found?.slice(series.length + 1));
};
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 20_000;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error("it did not come about in time");
    await sleep(50);
  }
}

test("a traced request is one trace at the collector, its stages within it", async () => {
  const traceparent = `00-${traceId}-${callerSpanId}-01`;
  expect((await caption({ traceparent })).status).toBe(200);
  await until(() => collector.requests.length > 0);
  const spans = collector.spans();
  expect(new Set(spans.map((span) => span.traceId))).toEqual(new Set([traceId]));
  const server = spans.find(({ name }) => name === "POST /v1/infer") as OtlpSpan;
  expect(server.parentSpanId).toBe(callerSpanId);
  const stages = spans.filter((span) => span !== server);
  expect(stages.map(({ name }) => name)).toEqual(
    expect.arrayContaining(["queue", "vision", "prefill", "decode"]),
  );
  for (const stage of stages) {
    expect(stage.parentSpanId).toBe(server.spanId);
    expect(BigInt(stage.startTimeUnixNano)).toBeGreaterThanOrEqual(
      BigInt(server.startTimeUnixNano),
    );
    expect(BigInt(stage.endTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(stage.startTimeUnixNano));
    expect(BigInt(stage.endTimeUnixNano)).toBeLessThanOrEqual(BigInt(server.endTimeUnixNano));
  }
  expect(lines.find((line) => line["route"] === "/v1/infer")).toMatchObject({
    trace_id: traceId,
    outcome: "ok",
    priority: "interactive",
  });
  expect(await metric('trace_spans_total{outcome="exported"}')).toBe(spans.length);
});

test("memory and delays of both processes, and what the engine did, are in the metrics", async () => {
  await until(async () => (await metric('process_resident_memory_bytes{process="engine"}')) > 0);
  const tokens = await metric("generated_tokens_total");
  expect(tokens).toBeGreaterThan(1);
  // The first one is the prefill's. The engine tells of the others a moment later.
  await until(async () => (await metric("decode_tokens_total")) === tokens - 1);
  await until(async () => (await metric("decode_batch_rows")) === 0);
  expect(await metric("vision_batch_images_count")).toBe(1);
  expect(await metric('process_resident_memory_bytes{process="door"}')).toBeGreaterThan(1e7);
  expect(await metric('process_resident_memory_bytes{process="engine"}')).toBeGreaterThan(1e7);
  for (const process of ["door", "engine"]) {
    const seconds = (quantile: string) =>
      metric(`nodejs_eventloop_delay_${quantile}_seconds{process="${process}"}`);
    expect(await seconds("max")).toBeGreaterThanOrEqual(await seconds("p50"));
  }
  expect(await metric("decode_runs_total")).toBeGreaterThan(0);
  expect(await metric("decode_run_rows_count")).toBe(await metric("decode_runs_total"));
  expect([await metric("prefills_total"), await metric("prefill_rows_total")]).toEqual([1, 1]);
  expect(await metric("kv_cache_bytes")).toBe(0);
  expect(await metric("decode_batch_max_rows")).toBeGreaterThan(1);
  expect(await metric("node_ready")).toBe(1);
  const labels = 'gen_ai_request_model="nano",priority="interactive"';
  expect(await metric(`gen_ai_server_time_to_first_token_seconds_count{${labels}}`)).toBe(1);
});

test("a request that nobody traces is not sent when the node's own part is 0", async () => {
  const before = collector.requests.length;
  expect((await caption({ traceparent: `00-${traceId}-${callerSpanId}-00` })).status).toBe(200);
  expect((await caption({ traceparent: "00-broken" })).status).toBe(200);
  expect((await caption({})).status).toBe(200);
  await node.stop();
  expect(collector.requests).toHaveLength(before);
});
