// What the door counts and measures, of itself and of what the engine tells it. Names are Prometheus's, and
// OpenTelemetry's where its conventions have one; docs/observability.md says what each means, and a test holds
// the page to this file.
import type { ProblemCode } from "@blip2-edge/shared/problem";
import type { CatalogModel } from "@blip2-edge/shared/wire/protocol";
import type { PriorityLoad } from "../engine/dispatcher.ts";
import type { EngineActivity, SizeCount } from "../engine/engine-activity.ts";
import type { Priority } from "../engine/messages.ts";
import type { LoopLag } from "./loop-lag.ts";
import { createRegistry, type Labelled } from "./registry.ts";

/** Read when the metrics are asked for. */
export interface MetricSources {
  readonly load: () => Readonly<Record<Priority, PriorityLoad>>;
  readonly jobsRunning: () => number;
  readonly featureStoreBytes: () => number;
  readonly engineRestarts: () => number;
  readonly engineReady: () => boolean;
  /** Whether the node takes work: the engine is ready and the node does not end. */
  readonly nodeReady: () => boolean;
  readonly models: () => readonly Pick<CatalogModel, "model" | "model_revision" | "family">[];
  readonly doorRssBytes: () => number;
  readonly doorLoopLag: () => LoopLag;
}

export interface AnsweredRequest {
  readonly method: string;
  /** A pattern, never a path as it came. */
  readonly route: string;
  readonly status: number;
  readonly outcome: "ok" | ProblemCode;
  readonly seconds: number;
}

/** When the tokens of a job came. */
export interface TokenTimes {
  /** From its admission to the first token. */
  readonly firstTokenMs: number;
  /** Between two tokens of its longest text; undefined where that has one token only. */
  readonly perOutputTokenMs: number | undefined;
}

/** A job that was done. */
export interface DoneJob {
  readonly kind: "generate" | "match" | "embed";
  readonly model: string;
  readonly priority: Priority;
  /** Texts generated or matched, embeddings made. */
  readonly items: number;
  /** Generated tokens. */
  readonly tokens: number;
  /** 0 when the image was still held, undefined where there was none. */
  readonly visionPasses: number | undefined;
  readonly times: {
    readonly queueMs: number;
    /** Milliseconds by stage of the engine. */
    readonly stages: Readonly<Record<string, number>>;
  };
  /** Of generated texts only. */
  readonly generation?: TokenTimes;
}

/**
 * Why a request was refused before it cost anything: `full`, `late` and `share` are admission's, `shed` is bulk
 * that was let in and gave way, the others are problem codes.
 */
export const refusalReasons = [
  "full",
  "late",
  "share",
  "shed",
  "not_ready",
  "signature_invalid",
  "pixels_required",
  "poison_request",
] as const;
export type RefusalReason = (typeof refusalReasons)[number];

export interface Metrics {
  readonly contentType: string;
  /** A request was answered. Refusals that are problem codes are counted here. */
  request(answered: AnsweredRequest): void;
  /** A job was refused or put out by admission, which knows why better than its problem says. */
  refused(reason: RefusalReason): void;
  job(done: DoneJob): void;
  visionPass(): void;
  /** The engine has told what it did and how it stands. */
  engine(activity: EngineActivity): void;
  /** The engine is gone: it holds nothing any more. */
  engineGone(): void;
  /** So many spans were sent to the collector, or could not be. */
  spans(outcome: "exported" | "failed", count: number): void;
  render(): Promise<string>;
}

// From a nano model's milliseconds to the half minute of a model of billions on a CPU.
const secondsBuckets = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120,
];
const tokenSecondsBuckets = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
];
const rowsBuckets = [1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128];
const imagesBuckets = [1, 2, 3, 4, 6, 8, 12, 16];

/** OpenTelemetry's rule: a method that is not expected is one label, or a caller could grow the metrics. */
const methodLabel = (method: string): string =>
  method === "GET" || method === "POST" ? method : "_OTHER";

const isRefusal = (outcome: string): outcome is RefusalReason =>
  (refusalReasons as readonly string[]).includes(outcome);

const observeEach = (
  histogram: { observe(size: number): void },
  counts: readonly SizeCount[],
): void => {
  for (const [size, times] of counts) {
    for (let time = 0; time < times; time += 1) histogram.observe(size);
  }
};

export function createMetrics(sources: MetricSources): Metrics {
  const { counter, histogram, gauge, gauges, countedElsewhere, render, contentType } =
    createRegistry();
  let engineNow: Omit<EngineActivity, "work"> | undefined;

  // Requests
  const requests = counter(
    "requests_total",
    "Requests answered, by route and outcome (ok, or the problem's code).",
    ["route", "outcome"],
  );
  const requestSeconds = histogram(
    "http_server_request_duration_seconds",
    "Time from a request's head to the end of its answer.",
    secondsBuckets,
    ["http_request_method", "http_route", "http_response_status_code"],
  );
  const refusals = counter(
    "requests_refused_total",
    "Requests refused before they cost anything, by reason.",
    ["reason"],
  );
  for (const reason of refusalReasons) refusals.inc({ reason }, 0);

  // The queue
  const byPriority = (
    read: (load: PriorityLoad) => number,
  ): (() => readonly Labelled<"priority">[]) => {
    const of = (priority: Priority): Labelled<"priority"> => [
      { priority },
      read(sources.load()[priority]),
    ];
    return () => [of("interactive"), of("bulk")];
  };
  gauges(
    "queue_depth",
    "Jobs that wait in the door, by priority.",
    ["priority"],
    byPriority(({ waiting }) => waiting),
  );
  gauges(
    "queued_work_seconds",
    "Estimated work that was let in and is not done, by priority.",
    ["priority"],
    byPriority(({ workMs }) => workMs / 1000),
  );
  gauge("jobs_running", "Jobs in the engine.", sources.jobsRunning);
  gauges(
    "engine_work_waiting",
    "Texts and comparisons that wait in the engine, by the stage that they wait for.",
    ["stage"],
    () =>
      Object.entries(engineNow?.batch.waiting ?? {}).map(([stage, count]) => [{ stage }, count]),
  );

  // What was done
  const items = {
    generate: counter("inferences_total", "Texts generated."),
    match: counter("matches_total", "Texts compared with an image."),
    embed: counter("embeddings_total", "Images and texts embedded."),
  };
  const tokens = counter(
    "generated_tokens_total",
    "Tokens of generated texts that were answered, end tokens included.",
  );
  const stageSeconds = histogram(
    "stage_seconds",
    "Time of a job in the queue and in each stage of the engine.",
    secondsBuckets,
    ["stage"],
  );
  const firstTokenSeconds = histogram(
    "gen_ai_server_time_to_first_token_seconds",
    "Time from a job's admission to its first token.",
    secondsBuckets,
    ["gen_ai_request_model", "priority"],
  );
  const perTokenSeconds = histogram(
    "gen_ai_server_time_per_output_token_seconds",
    "Time between two tokens of a job's longest text, after the first.",
    tokenSecondsBuckets,
    ["gen_ai_request_model", "priority"],
  );

  // Decoding
  const decodeRunRows = histogram(
    "decode_run_rows",
    "Rows that a decode run began with.",
    rowsBuckets,
  );
  const decodeRuns = counter("decode_runs_total", "Runs of the decoder, each of several steps.");
  const decodeSteps = counter("decode_steps_total", "Steps of the decode runs.");
  const decodeTokens = counter(
    "decode_tokens_total",
    "Tokens that decode runs decided, whether or not anybody still waited for them.",
  );
  gauge(
    "decode_batch_rows",
    "Rows that the next decode step computes.",
    () => engineNow?.batch.rows ?? 0,
  );
  gauge(
    "decode_batch_max_rows",
    "Rows that a decode step can compute.",
    () => engineNow?.batch.maxRows ?? 0,
  );
  gauge(
    "kv_cache_bytes",
    "Keys and values held for the rows that are being decoded.",
    () => engineNow?.batch.kvBytes ?? 0,
  );
  const prefillRows = counter("prefill_rows_total", "Rows whose prompts were read.");
  const prefills = counter("prefills_total", "Runs that read prompts, each of one or more rows.");

  // Looking
  const visionPasses = counter("vision_passes_total", "Images that went through the vision tower.");
  const visionPassesAvoided = counter(
    "vision_passes_avoided_total",
    "Jobs whose image features were still held.",
  );
  const visionBatchImages = histogram(
    "vision_batch_images",
    "Images that one run of the vision tower took.",
    imagesBuckets,
  );
  gauge("feature_store_bytes", "Image features held.", sources.featureStoreBytes);

  // The processes
  const byProcess = (
    door: () => number,
    engine: (activity: Omit<EngineActivity, "work">) => number,
  ): (() => readonly Labelled<"process">[]) => {
    return () => [
      [{ process: "door" }, door()],
      ...(engineNow === undefined ? [] : [[{ process: "engine" }, engine(engineNow)] as const]),
    ];
  };
  gauges(
    "process_resident_memory_bytes",
    "Resident memory, by process.",
    ["process"],
    byProcess(sources.doorRssBytes, ({ rssBytes }) => rssBytes),
  );
  for (const [quantile, said] of [
    ["p50", "The median"],
    ["p99", "The 99th percentile"],
    ["max", "The longest"],
  ] as const) {
    gauges(
      `nodejs_eventloop_delay_${quantile}_seconds`,
      `${said} of the event loop's delays over the last 10 to 20 seconds, by process.`,
      ["process"],
      byProcess(
        () => sources.doorLoopLag()[`${quantile}Ms`] / 1000,
        ({ loopLag }) => loopLag[`${quantile}Ms`] / 1000,
      ),
    );
  }
  countedElsewhere(
    "engine_restarts_total",
    "Times the engine was started again.",
    sources.engineRestarts,
  );
  gauge("engine_ready", "1 when the engine can take a job.", () => Number(sources.engineReady()));
  gauge("node_ready", "1 when the node takes work.", () => Number(sources.nodeReady()));
  gauges(
    "model_info",
    "1 for each model artifact that is served.",
    ["model", "model_revision", "family"],
    () =>
      sources
        .models()
        .map(({ model, model_revision, family }) => [{ model, model_revision, family }, 1]),
  );
  const spans = counter(
    "trace_spans_total",
    "Spans that were sent to the collector (exported) or could not be (failed).",
    ["outcome"],
  );
  for (const outcome of ["exported", "failed"]) spans.inc({ outcome }, 0);

  return {
    contentType,
    request({ method, route, status, outcome, seconds }) {
      requests.inc({ route, outcome });
      requestSeconds.observe(
        {
          http_request_method: methodLabel(method),
          http_route: route,
          http_response_status_code: status,
        },
        seconds,
      );
      if (isRefusal(outcome)) refusals.inc({ reason: outcome });
    },
    refused: (reason) => refusals.inc({ reason }),
    job({ kind, model, priority, items: count, tokens: made, visionPasses, times, generation }) {
      items[kind].inc(count);
      tokens.inc(made);
      if (visionPasses === 0) visionPassesAvoided.inc();
      const stages = { queue: times.queueMs, ...times.stages };
      for (const [stage, tookMs] of Object.entries(stages)) {
        stageSeconds.observe({ stage }, tookMs / 1000);
      }
      if (generation === undefined) return;
      const labels = { gen_ai_request_model: model, priority };
      firstTokenSeconds.observe(labels, generation.firstTokenMs / 1000);
      if (generation.perOutputTokenMs !== undefined) {
        perTokenSeconds.observe(labels, generation.perOutputTokenMs / 1000);
      }
    },
    visionPass: () => visionPasses.inc(),
    engine({ work, ...now }) {
      engineNow = now;
      observeEach(decodeRunRows, work.decodeRuns);
      decodeRuns.inc(timesOf(work.decodeRuns));
      decodeSteps.inc(work.decodeSteps);
      decodeTokens.inc(work.decodeTokens);
      prefills.inc(timesOf(work.prefills));
      prefillRows.inc(work.prefills.reduce((sum, [rows, times]) => sum + rows * times, 0));
      observeEach(visionBatchImages, work.visionBatches);
    },
    engineGone() {
      engineNow = undefined;
    },
    spans: (outcome, count) => spans.inc({ outcome }, count),
    render,
  };
}

const timesOf = (counts: readonly SizeCount[]): number =>
  counts.reduce((sum, [, times]) => sum + times, 0);
