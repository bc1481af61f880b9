// A report as Markdown: what must show first, then the figures behind it.
import { type Claim, claimsOf } from "./claims.ts";
import type { KernelRate } from "./measure-kernel.ts";
import type { BenchReport } from "./report.ts";

type Cell = string | number;

const table = (head: readonly string[], rows: readonly (readonly Cell[])[]): string =>
  [head, head.map((_, at) => (at === 0 ? "---" : "---:")), ...rows]
    .map((row) => `| ${row.join(" | ")} |`)
    .join("\n");

/** Three digits that count. */
function digits(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const before = value === 0 ? 1 : Math.floor(Math.log10(Math.abs(value))) + 1;
  return value.toFixed(Math.min(4, Math.max(0, 3 - before)));
}
const percent = (share: number): string => `${digits(share * 100)} %`;
const ms = (seconds: number): string => digits(seconds * 1000);
const megabytes = (bytes: number): string => `${digits(bytes / 1e6)} MB`;

const units: Readonly<Record<Claim["unit"], (value: number) => string>> = {
  times: (value) => `${digits(value)} times`,
  share: percent,
  ms: (value) => `${digits(value)} ms`,
  s: (value) => `${digits(value)} s`,
  bytes: megabytes,
  count: String,
};

const claimCells = ({ what, measured, bound, unit, holds }: Claim): readonly string[] => {
  const say = units[unit];
  const needed = "atLeast" in bound ? `≥ ${say(bound.atLeast)}` : `≤ ${say(bound.atMost)}`;
  const verdict = holds === null ? "not measured" : holds ? "yes" : "no";
  return [what, measured === null ? "–" : say(measured), needed, verdict];
};

function about({ machine, artifact, settings }: BenchReport): string[] {
  const { cpu, cores, memoryBytes, loadAverage, busy, platform } = machine;
  const threads = settings.threads === 0 ? "the physical cores" : `${settings.threads}`;
  return [
    `${artifact.name} ${artifact.modelRevision} (${artifact.family}, ${artifact.precision}, ${megabytes(artifact.bytes)})`,
    `${cpu}, ${cores} cores, ${digits(memoryBytes / 1e9)} GB, ${platform}; ${settings.runtime}, provider ${settings.provider}, threads: ${threads}`,
    `Load average at the start: ${digits(loadAverage)}${busy ? ". **The machine was busy: the figures say little.**" : ""}`,
  ];
}

const kernelRow = ({ kernel, rows, k, n, gflops, weightBytesPerSecond }: KernelRate) => [
  kernel,
  `${rows} × ${k} × ${n}`,
  digits(gflops),
  digits(weightBytesPerSecond / 1e9),
];

/** Without heading: the caller decides its level. */
export function renderReport(report: BenchReport): string {
  const { limits, stages, captions, load, node, artifact, soak, peer } = report;
  const { together, shortAmongLong: short, secondQuestion: second } = load;
  const sections: readonly (readonly [title: string, body: string])[] = [
    [
      "What must show",
      table(["", "measured", "needed", "holds"], claimsOf(report).map(claimCells)),
    ],
    [
      "Stages",
      table(
        [
          "stage",
          "at a time",
          "ms",
          "allowed, ms",
          "of the allowed",
          "of its own kernels",
          "gives away, ms",
          "GFLOP",
          "GFLOP/s",
          "weights, MB",
          "GB/s",
        ],
        stages.map((row) => [
          row.stage,
          row.batch,
          ms(row.seconds),
          ms(row.allowedSeconds),
          percent(row.efficiency),
          percent(row.ownEfficiency),
          ms(row.givesAwaySeconds),
          digits(row.flops / 1e9),
          digits(row.flops / row.seconds / 1e9),
          digits(row.weightBytes / 1e6),
          digits(row.weightBytes / row.seconds / 1e9),
        ]),
      ),
    ],
    [
      "Captions",
      table(
        ["images", "new tokens", "s", "images/min", "allowed, s", "of the allowed"],
        captions.map((row) => [
          row.images,
          row.newTokens,
          digits(row.seconds),
          digits((60 * row.images) / row.seconds),
          digits(row.allowedSeconds),
          percent(row.efficiency),
        ]),
      ),
    ],
    ...(peer === undefined
      ? []
      : [
          [
            "The reference implementation",
            table(
              [
                "type",
                "images",
                "new tokens",
                "vision, s",
                "caption, s",
                "ours is so many times as fast",
              ],
              peer.map((row) => {
                const ours = captions.find(({ images }) => images === row.images);
                return [
                  row.dtype,
                  row.images,
                  row.newTokens,
                  digits(row.visionSeconds),
                  digits(row.captionSeconds),
                  ours === undefined ? "–" : digits(row.captionSeconds / ours.seconds),
                ];
              }),
            ),
          ] as const,
        ]),
    [
      "Load",
      table(
        [
          "at a time",
          "requests",
          "requests/s",
          "tokens/s",
          "against one",
          "p50, ms",
          "p95, ms",
          "first token p50, ms",
          "refused",
        ],
        load.levels.map((level) => [
          level.concurrency,
          level.requests,
          digits(level.requestsPerSecond),
          digits(level.tokensPerSecond),
          digits(level.tokensPerSecond / (load.levels[0]?.tokensPerSecond ?? NaN)),
          digits(level.latencyMs.p50),
          digits(level.latencyMs.p95),
          digits(level.firstTokenMs.p50),
          level.refusals,
        ]),
      ),
    ],
    [
      "Callers among each other",
      [
        `- ${together.requests} captions of ${together.tokens} tokens at once: ${digits(together.wholeSeconds)} s, predicted ${digits(together.predictedSeconds)} s. Their decoding takes ${digits(together.decodeTogetherSeconds)} s, one after another ${digits(together.decodeOneByOneSeconds)} s.`,
        `- A short request among ${short.longRequests} long ones: waits ${digits(short.waitedMs)} ms at worst (bound ${digits(short.boundMs)} ms), first token after ${digits(short.firstTokenMs)} ms (alone ${digits(short.aloneFirstTokenMs)} ms).`,
        `- A second question about a picture: first token after ${digits(second.secondMs)} ms, the first question's after ${digits(second.firstMs)} ms; ${second.visionPasses} vision passes.`,
        `- While saturated: health answers in ${digits(load.healthMs.p50)} ms (p50), ${digits(load.healthMs.p99)} ms (p99), ${digits(load.healthMs.max)} ms (longest); event-loop lag ${digits(load.eventLoopLagMs.p99Ms)} ms (p99), ${digits(load.eventLoopLagMs.maxMs)} ms (longest).`,
        `- Ready after ${digits(node.readySeconds)} s; loading in process ${digits(report.loadSeconds)} s. ${node.peakBytes === null ? "Memory is not known on this system." : `Door and engine: ${megabytes(node.peakBytes)} at most, ${digits(node.peakBytes / artifact.bytes)} times the artifact.`}`,
        ...(soak === undefined
          ? []
          : [
              `- Soak: ${soak.requests} requests in ${soak.minutes} minutes, RSS grew by ${soak.growth === null ? "an unknown share" : percent(soak.growth)} after the first ${digits(soak.settledAfterSeconds)} s; ${soak.refusals} refusals.`,
            ]),
      ].join("\n"),
    ],
    [
      "Limits",
      [
        `Memory, read by the engine's threads: ${digits(limits.memoryReadBytesPerSecond / 1e9)} GB/s.\n`,
        table(
          ["kernel", "rows × k × n", "GFLOP/s", "weights, GB/s"],
          limits.kernels.map(kernelRow),
        ),
      ].join("\n"),
    ],
  ];
  return [
    about(report).join("  \n"),
    ...sections.map(([title, body]) => `### ${title}\n\n${body}`),
    "",
  ].join("\n\n");
}
