// The door's counters, the only file that knows prom-client. One registry per door: nothing is global.
import { Counter, Gauge, Histogram, Registry } from "prom-client";

/** Read when the metrics are asked for. */
export interface MetricSources {
  readonly queueDepth: () => number;
  readonly jobsRunning: () => number;
  readonly featureStoreBytes: () => number;
  readonly engineRestarts: () => number;
  readonly engineReady: () => boolean;
  readonly doorRssBytes: () => number;
}

/** A job that was done. */
export interface DoneJob {
  readonly kind: "generate" | "match" | "embed";
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
}

export interface Metrics {
  readonly contentType: string;
  /** A request was answered. `route` is a pattern, `outcome` "ok" or a problem's code. */
  request(route: string, outcome: string, seconds: number): void;
  job(done: DoneJob): void;
  visionPass(): void;
  render(): Promise<string>;
}

const secondsBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

export function createMetrics(sources: MetricSources): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const gauge = (name: string, help: string, read: () => number): void => {
    registry.registerMetric(
      new Gauge({
        name,
        help,
        registers: [],
        collect() {
          this.set(read());
        },
      }),
    );
  };
  const requests = new Counter({
    name: "requests_total",
    help: "Requests answered, by route and outcome (ok, or the problem's code).",
    labelNames: ["route", "outcome"],
    registers,
  });
  const requestSeconds = new Histogram({
    name: "request_seconds",
    help: "Time from a request's head to its answer.",
    labelNames: ["route"],
    buckets: secondsBuckets,
    registers,
  });
  const inferences = new Counter({
    name: "inferences_total",
    help: "Texts generated.",
    registers,
  });
  const matches = new Counter({
    name: "matches_total",
    help: "Texts compared with an image.",
    registers,
  });
  const embeddings = new Counter({
    name: "embeddings_total",
    help: "Images and texts embedded.",
    registers,
  });
  const items = { generate: inferences, match: matches, embed: embeddings };
  const tokens = new Counter({
    name: "generated_tokens_total",
    help: "Tokens generated, end tokens included.",
    registers,
  });
  const visionPasses = new Counter({
    name: "vision_passes_total",
    help: "Images that went through the vision tower.",
    registers,
  });
  const visionPassesAvoided = new Counter({
    name: "vision_passes_avoided_total",
    help: "Jobs whose image features were still held.",
    registers,
  });
  const stageSeconds = new Histogram({
    name: "stage_seconds",
    help: "Time of a job in the queue and in each stage of the engine.",
    labelNames: ["stage"],
    buckets: secondsBuckets,
    registers,
  });
  gauge("queue_depth", "Jobs that wait.", sources.queueDepth);
  gauge("jobs_running", "Jobs in the engine.", sources.jobsRunning);
  gauge("feature_store_bytes", "Image features held.", sources.featureStoreBytes);
  gauge("engine_ready", "1 when the engine can take a job.", () => (sources.engineReady() ? 1 : 0));
  gauge("door_rss_bytes", "Resident memory of the door process.", sources.doorRssBytes);
  registry.registerMetric(
    new Counter({
      name: "engine_restarts_total",
      help: "Times the engine was started again.",
      registers: [],
      collect() {
        this.reset();
        this.inc(sources.engineRestarts());
      },
    }),
  );

  return {
    contentType: registry.contentType,
    request(route, outcome, seconds) {
      requests.inc({ route, outcome });
      requestSeconds.observe({ route }, seconds);
    },
    job(done) {
      items[done.kind].inc(done.items);
      tokens.inc(done.tokens);
      if (done.visionPasses === 0) visionPassesAvoided.inc();
      const stages = { queue: done.times.queueMs, ...done.times.stages };
      for (const [stage, tookMs] of Object.entries(stages)) {
        stageSeconds.observe({ stage }, tookMs / 1000);
      }
    },
    visionPass: () => visionPasses.inc(),
    render: () => registry.metrics(),
  };
}
