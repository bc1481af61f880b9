import { describe, expect, test } from "vitest";
import type { EngineActivity } from "../engine/engine-activity.ts";
import { createMetrics, type DoneJob, type MetricSources } from "./metrics.ts";

const sources: MetricSources = {
  load: () => ({
    interactive: { waiting: 0, workMs: 1500 },
    bulk: { waiting: 4, workMs: 20_000 },
  }),
  jobsRunning: () => 3,
  featureStoreBytes: () => 1024,
  engineRestarts: () => 2,
  engineReady: () => true,
  nodeReady: () => false,
  models: () => [{ model: "nano", model_revision: "0123456789abcdef", family: "opt" }],
  doorRssBytes: () => 50_000_000,
  doorLoopLag: () => ({ p50Ms: 0.5, p99Ms: 12, maxMs: 40 }),
};
const activity: EngineActivity = {
  work: {
    decodeRuns: [
      [16, 3],
      [5, 1],
    ],
    decodeSteps: 30,
    decodeTokens: 400,
    prefills: [
      [4, 2],
      [1, 1],
    ],
    visionBatches: [[2, 2]],
  },
  batch: { rows: 12, maxRows: 16, kvBytes: 4096, waiting: { vision: 2, compare: 1 } },
  rssBytes: 900_000_000,
  loopLag: { p50Ms: 100, p99Ms: 300, maxMs: 350 },
};
const job: DoneJob = {
  kind: "generate",
  model: "nano",
  priority: "interactive",
  items: 2,
  tokens: 24,
  visionPasses: 0,
  times: { queueMs: 4, stages: { vision: 0, prefill: 20, decode: 300 } },
  generation: { firstTokenMs: 24, perOutputTokenMs: 27 },
};

/** The value of one line of the text. */
const read = async (metrics: ReturnType<typeof createMetrics>) => {
  const lines = (await metrics.render()).split("\n");
  return (series: string): number | undefined => {
    const line = lines.find((each) => each.startsWith(`${series} `));
    return line === undefined ? undefined : Number(line.slice(series.length + 1));
  };
};

describe("what is read", () => {
  test("queue, work, readiness and models come from their sources", async () => {
    const value = await read(createMetrics(sources));
    expect(value('queue_depth{priority="interactive"}')).toBe(0);
    expect(value('queue_depth{priority="bulk"}')).toBe(4);
    expect(value('queued_work_seconds{priority="interactive"}')).toBe(1.5);
    expect(value('queued_work_seconds{priority="bulk"}')).toBe(20);
    expect(value("jobs_running")).toBe(3);
    expect(value("feature_store_bytes")).toBe(1024);
    expect(value("engine_restarts_total")).toBe(2);
    expect([value("engine_ready"), value("node_ready")]).toEqual([1, 0]);
    expect(value('model_info{model="nano",model_revision="0123456789abcdef",family="opt"}')).toBe(
      1,
    );
    expect(value('process_resident_memory_bytes{process="door"}')).toBe(50_000_000);
  });

  test("the gauges of the event loop move with it", async () => {
    let maxMs = 3;
    const metrics = createMetrics({
      ...sources,
      doorLoopLag: () => ({ p50Ms: 1, p99Ms: 2, maxMs }),
    });
    const series = 'nodejs_eventloop_delay_max_seconds{process="door"}';
    expect((await read(metrics))(series)).toBe(0.003);
    maxMs = 250;
    const value = await read(metrics);
    expect(value(series)).toBe(0.25);
    expect(value('nodejs_eventloop_delay_p50_seconds{process="door"}')).toBe(0.001);
    expect(value('nodejs_eventloop_delay_p99_seconds{process="door"}')).toBe(0.002);
  });

  test("counters are there at 0 before anything was refused or sent", async () => {
    const value = await read(createMetrics(sources));
    for (const reason of ["full", "late", "share", "shed", "not_ready"]) {
      expect(value(`requests_refused_total{reason="${reason}"}`)).toBe(0);
    }
    expect(value('trace_spans_total{outcome="failed"}')).toBe(0);
  });
});

describe("what the engine tells", () => {
  test("work is added up over its messages, state is the last one's", async () => {
    const metrics = createMetrics(sources);
    metrics.engine(activity);
    metrics.engine({ ...activity, batch: { ...activity.batch, rows: 9, waiting: { vision: 5 } } });
    const value = await read(metrics);
    expect(value("decode_runs_total")).toBe(8);
    expect(value("decode_steps_total")).toBe(60);
    expect(value("decode_tokens_total")).toBe(800);
    expect(value('decode_run_rows_bucket{le="4"}')).toBe(0);
    expect(value('decode_run_rows_bucket{le="8"}')).toBe(2);
    expect(value('decode_run_rows_bucket{le="16"}')).toBe(8);
    expect(value("decode_run_rows_sum")).toBe(2 * (3 * 16 + 5));
    expect([value("prefills_total"), value("prefill_rows_total")]).toEqual([6, 18]);
    expect([value("vision_batch_images_count"), value("vision_batch_images_sum")]).toEqual([4, 8]);
    expect([value("decode_batch_rows"), value("decode_batch_max_rows")]).toEqual([9, 16]);
    expect(value("kv_cache_bytes")).toBe(4096);
    expect(value('engine_work_waiting{stage="vision"}')).toBe(5);
    expect(value('engine_work_waiting{stage="compare"}')).toBeUndefined();
    expect(value('process_resident_memory_bytes{process="engine"}')).toBe(900_000_000);
    expect(value('nodejs_eventloop_delay_p99_seconds{process="engine"}')).toBe(0.3);
  });

  test("an engine that is gone holds nothing, and its work stays counted", async () => {
    const metrics = createMetrics(sources);
    metrics.engine(activity);
    metrics.engineGone();
    const value = await read(metrics);
    expect([value("decode_batch_rows"), value("kv_cache_bytes")]).toEqual([0, 0]);
    expect(value('process_resident_memory_bytes{process="engine"}')).toBeUndefined();
    expect(value('nodejs_eventloop_delay_max_seconds{process="engine"}')).toBeUndefined();
    expect(value('engine_work_waiting{stage="vision"}')).toBeUndefined();
    expect(value("decode_runs_total")).toBe(4);
  });
});

describe("what is counted", () => {
  test("a job: its texts, tokens, stages and the times of its tokens", async () => {
    const metrics = createMetrics(sources);
    metrics.job(job);
    metrics.job({ ...job, generation: { firstTokenMs: 4000, perOutputTokenMs: undefined } });
    const value = await read(metrics);
    expect([value("inferences_total"), value("generated_tokens_total")]).toEqual([4, 48]);
    expect(value("vision_passes_avoided_total")).toBe(2);
    expect(value('stage_seconds_sum{stage="decode"}')).toBeCloseTo(0.6);
    expect(value('stage_seconds_count{stage="queue"}')).toBe(2);
    const labels = 'gen_ai_request_model="nano",priority="interactive"';
    const first = "gen_ai_server_time_to_first_token_seconds";
    expect(value(`${first}_bucket{le="0.025",${labels}}`)).toBe(1);
    expect(value(`${first}_sum{${labels}}`)).toBeCloseTo(4.024);
    expect(value(`gen_ai_server_time_per_output_token_seconds_count{${labels}}`)).toBe(1);
  });

  test("matches and embeddings have no tokens", async () => {
    const metrics = createMetrics(sources);
    const { generation: _, ...about } = job;
    metrics.job({ ...about, kind: "match", items: 5, tokens: 0, visionPasses: 1 });
    metrics.job({ ...about, kind: "embed", items: 1, tokens: 0, visionPasses: 1 });
    const value = await read(metrics);
    expect([value("matches_total"), value("embeddings_total")]).toEqual([5, 1]);
    expect(value("vision_passes_avoided_total")).toBe(0);
    expect(await metrics.render()).not.toContain("time_to_first_token_seconds_count");
  });

  test("requests by route, status and outcome; a strange method is no label of its own", async () => {
    const metrics = createMetrics(sources);
    const ok = {
      method: "POST",
      route: "/v1/infer",
      status: 200,
      outcome: "ok",
      seconds: 25,
    } as const;
    metrics.request(ok);
    metrics.request({ ...ok, status: 503, outcome: "not_ready", seconds: 0.001 });
    metrics.request({ ...ok, status: 503, outcome: "overloaded", seconds: 0.001 });
    metrics.request({ ...ok, method: "PROPFIND", status: 405, outcome: "method_not_allowed" });
    metrics.refused("late");
    const value = await read(metrics);
    expect(value('requests_total{route="/v1/infer",outcome="ok"}')).toBe(1);
    const labels = (method: string, status: number) =>
      `http_request_method="${method}",http_route="/v1/infer",http_response_status_code="${status}"`;
    const seconds = "http_server_request_duration_seconds";
    expect(value(`${seconds}_bucket{le="20",${labels("POST", 200)}}`)).toBe(0);
    expect(value(`${seconds}_bucket{le="30",${labels("POST", 200)}}`)).toBe(1);
    expect(value(`${seconds}_count{${labels("_OTHER", 405)}}`)).toBe(1);
    expect(value('requests_refused_total{reason="not_ready"}')).toBe(1);
    expect(value('requests_refused_total{reason="late"}')).toBe(1);
    // Admission has said why; the problem says only that.
    expect(value('requests_refused_total{reason="full"}')).toBe(0);
  });

  test("spans that were sent and that were not", async () => {
    const metrics = createMetrics(sources);
    metrics.spans("exported", 5);
    metrics.spans("failed", 2);
    const value = await read(metrics);
    expect(value('trace_spans_total{outcome="exported"}')).toBe(5);
    expect(value('trace_spans_total{outcome="failed"}')).toBe(2);
  });
});
