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

export interface InferenceTimes {
  readonly queueMs: number;
  readonly visionMs: number;
  readonly prefillMs: number;
  readonly decodeMs: number;
}

export interface Metrics {
  readonly contentType: string;
  /** A request was answered. `route` is a pattern, `outcome` "ok" or a problem's code. */
  request(route: string, outcome: string, seconds: number): void;
  /** A job was done: `inferences` texts were generated with `tokens` tokens in all. */
  inference(inferences: number, tokens: number, times: InferenceTimes): void;
  visionPass(): void;
  /** A job found the features of its image still held. */
  visionPassAvoided(): void;
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
    inference(count, tokenCount, times) {
      inferences.inc(count);
      tokens.inc(tokenCount);
      stageSeconds.observe({ stage: "queue" }, times.queueMs / 1000);
      stageSeconds.observe({ stage: "vision" }, times.visionMs / 1000);
      stageSeconds.observe({ stage: "prefill" }, times.prefillMs / 1000);
      stageSeconds.observe({ stage: "decode" }, times.decodeMs / 1000);
    },
    visionPass: () => visionPasses.inc(),
    visionPassAvoided: () => visionPassesAvoided.inc(),
    render: () => registry.metrics(),
  };
}
