// What nodes show of themselves (docs/observability.md), by node.
import { dashboard } from "./dashboard.ts";

const of = 'job="blip2-node",instance=~"$instance"';
const rate = (metric: string, labels = ""): string =>
  `rate(${metric}{${of}${labels === "" ? "" : `,${labels}`}}[$__rate_interval])`;
const mean = (metric: string, by: string, labels = ""): string =>
  `sum by (${by}) (${rate(`${metric}_sum`, labels)}) / sum by (${by}) (${rate(`${metric}_count`, labels)})`;
const quantile = (q: number, metric: string, labels = ""): string =>
  `histogram_quantile(${q}, sum by (le) (${rate(`${metric}_bucket`, labels)}))`;
const quantiles = (metric: string, labels = ""): Record<string, string> =>
  Object.fromEntries(
    [0.5, 0.95, 0.99].map((q) => [`p${q * 100}`, quantile(q, metric, labels)] as const),
  );
const work = 'route=~"/v1/(infer|match|embed)"';
const workRoute = 'http_route=~"/v1/(infer|match|embed)"';

export const nodeDashboard = dashboard({
  uid: "blip2-node",
  title: "blip2-edge: nodes",
  says: "What the nodes do, how full they are and how long each stage takes. docs/observability.md says what each metric means.",
  variables: { instance: 'node_ready{job="blip2-node"}, instance' },
  rows: {
    Now: [
      {
        title: "Nodes that take work",
        says: "Fewer than there are: docs/runbook.md, a node is down.",
        unit: "short",
        kind: "stat",
        queries: { ready: `sum(node_ready{${of}})` },
      },
      {
        title: "Requests",
        says: "Requests for work.",
        unit: "reqps",
        kind: "stat",
        queries: { requests: `sum(${rate("requests_total", work)})` },
      },
      {
        title: "Refused for want of room",
        says: "Above five in a hundred an alert fires.",
        unit: "percentunit",
        kind: "stat",
        queries: {
          refused: `sum(${rate("requests_refused_total", 'reason=~"full|late|shed"')}) / sum(${rate("requests_total", work)})`,
        },
      },
      {
        title: "Engine restarts in a day",
        says: "None is right.",
        unit: "short",
        kind: "stat",
        queries: { restarts: `sum(increase(engine_restarts_total{${of}}[1d]))` },
      },
    ],
    Requests: [
      {
        title: "By outcome",
        says: "ok, or the code of the problem.",
        unit: "reqps",
        stacked: true,
        queries: { "{{outcome}}": `sum by (outcome) (${rate("requests_total", work)})` },
      },
      {
        title: "How long they take",
        says: "From a request's head to the end of its answer, waiting included.",
        unit: "s",
        queries: quantiles("http_server_request_duration_seconds", workRoute),
      },
      {
        title: "Refusals by reason",
        says: "full, late and shed: more nodes. signature_invalid: a key that one side lacks.",
        unit: "reqps",
        queries: { "{{reason}}": `sum by (reason) (${rate("requests_refused_total")})` },
      },
    ],
    "How full": [
      {
        title: "Work that was let in and is not done",
        says: "In the node's own estimate; at --max-queue-seconds it refuses. Autoscaling looks at this.",
        unit: "s",
        queries: { "{{instance}} {{priority}}": `queued_work_seconds{${of}}` },
      },
      {
        title: "Jobs",
        says: "In the engine, and waiting in the door: bulk waits in the door, interactive work in the engine.",
        unit: "short",
        queries: {
          "{{instance}} in the engine": `jobs_running{${of}}`,
          "{{instance}} {{priority}} in the door": `queue_depth{${of}}`,
        },
      },
      {
        title: "What waits in the engine",
        says: "By the stage it waits for: the one that grows is what bounds the node.",
        unit: "short",
        queries: { "{{stage}}": `sum by (stage) (engine_work_waiting{${of}})` },
      },
    ],
    "How long": [
      {
        title: "Each stage, in the mean",
        says: "Of a job that was answered.",
        unit: "s",
        queries: { "{{stage}}": mean("stage_seconds", "stage") },
      },
      {
        title: "Vision and decoding by node",
        says: "One node above the others is slow: docs/runbook.md.",
        unit: "s",
        queries: {
          "{{instance}} {{stage}}": mean(
            "stage_seconds",
            "instance, stage",
            'stage=~"vision|decode"',
          ),
        },
      },
      {
        title: "First token",
        says: "From admission, of interactive work.",
        unit: "s",
        queries: quantiles("gen_ai_server_time_to_first_token_seconds", 'priority="interactive"'),
      },
      {
        title: "Each further token",
        says: "Of a job's longest text.",
        unit: "s",
        queries: quantiles("gen_ai_server_time_per_output_token_seconds"),
      },
    ],
    Decoding: [
      {
        title: "Rows in the batch",
        says: "The mean a run began with, beside the most it can take.",
        unit: "short",
        queries: {
          "{{instance}} mean": mean("decode_run_rows", "instance"),
          "{{instance}} most": `decode_batch_max_rows{${of}}`,
        },
      },
      {
        title: "Tokens a second",
        says: "Answered, and decided by the engine: what lies between was made for callers who left.",
        unit: "short",
        queries: {
          answered: `sum(${rate("generated_tokens_total")})`,
          decided: `sum(${rate("decode_tokens_total")})`,
        },
      },
      {
        title: "Keys and values",
        says: "Memory of the rows that are being decoded.",
        unit: "bytes",
        queries: { "{{instance}}": `kv_cache_bytes{${of}}` },
      },
    ],
    Looking: [
      {
        title: "Pictures through the vision tower",
        says: "And jobs whose picture was still held.",
        unit: "short",
        queries: {
          seen: `sum(${rate("vision_passes_total")})`,
          held: `sum(${rate("vision_passes_avoided_total")})`,
        },
      },
      {
        title: "Pictures in one run",
        says: "In the mean.",
        unit: "short",
        queries: { "{{instance}}": mean("vision_batch_images", "instance") },
      },
      {
        title: "Features held",
        says: "Up to --feature-store-mb.",
        unit: "bytes",
        queries: { "{{instance}}": `feature_store_bytes{${of}}` },
      },
    ],
    Processes: [
      {
        title: "Resident memory",
        says: "Twice the engine's while artifacts are changed; else it should be flat.",
        unit: "bytes",
        queries: { "{{instance}} {{process}}": `process_resident_memory_bytes{${of}}` },
      },
      {
        title: "The door's event loop, p99",
        says: "Under 20 ms is right. The engine's is as long as its runs, by design.",
        unit: "s",
        queries: {
          "{{instance}}": `nodejs_eventloop_delay_p99_seconds{${of},process="door"}`,
        },
      },
      {
        title: "Revisions served",
        says: "More than one of a model for long: a rollout that stopped half way.",
        unit: "short",
        queries: {
          "{{model}} {{model_revision}}": `sum by (model, model_revision) (model_info{${of}})`,
        },
      },
    ],
  },
});
