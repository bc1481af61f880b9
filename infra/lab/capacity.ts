// `npm run lab:capacity`: the simulator (infra/capacity) held against what it simulates. Its parameters are taken from one
// node alone and from a Worker with nothing to do; then one, two and three nodes behind a real local Worker are predicted
// and measured, under requests that come by themselves and under callers that wait for their answers, for two mixes. The
// nodes' service times are scripted, so that three of them on two cores are honest. Wants a quiet machine and twenty minutes.
import { createApiKey } from "../../edge/src/auth/api-key.ts";
import { type Spread, spreadOf } from "../../gpu-node/src/bench/percentiles.ts";
import { startWorker } from "../start/worker.ts";
import { nodeProfileSchema } from "../capacity/node-profile.ts";
import {
  answerTokens,
  arrivalsOf,
  type MixRequest,
  requestMixSchema,
  type RequestMix,
  requestsOf,
} from "../capacity/request-mix.ts";
import { type Load, simulate } from "../capacity/simulate.ts";
import type { EdgeTimes } from "../capacity/simulated-edge.ts";
import { capacityClient, type CapacityClient } from "./capacity-client.ts";
import { measureTimed } from "./measure-timed.ts";
import { labKey, startTimedNode } from "./timed-node-server.ts";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "120" }, seed: { type: "string", default: "1" } },
});
const seconds = Number(values.seconds);
const seed = Number(values.seed);
const warmUpS = seconds / 6;
const within = 0.2;

/** Slow enough that the one isolate of a local Worker, and the client beside it, have little to do. */
const script = nodeProfileSchema.parse({
  format: "blip2-edge/node-profile/v1",
  source: "scripted",
  look_ms: [
    [1, 225],
    [8, 1200],
  ],
  prefill_ms: [
    [33, 100],
    [231, 525],
  ],
  step_ms: [
    [1, 30],
    [8, 50],
    [16, 80],
  ],
  match_ms: [
    [1, 60],
    [4, 175],
  ],
  embed_texts_ms: [
    [1, 50],
    [4, 100],
  ],
});
const site = requestMixSchema.parse({
  format: "blip2-edge/request-mix/v1",
  tasks: { caption: 0.7, vqa: 0.3 },
  fresh_pictures: 0.5,
  pictures: { count: 400, zipf: 0.9 },
  questions: { count: 5, zipf: 1 },
  answer_tokens: [4, 20],
});
const other = requestMixSchema.parse({
  ...site,
  tasks: { caption: 0.4, vqa: 0.2, match: 0.4 },
  fresh_pictures: 0.8,
  pictures: { count: 50, zipf: 0.5 },
  answer_tokens: [8, 32],
});

interface Measured {
  readonly perS: number;
  readonly hitRate: number;
  readonly failed: number;
  readonly latencyMs: Spread;
}

/** A fresh Worker with so many fresh nodes. */
async function withStack<Result>(
  nodes: number,
  mix: RequestMix,
  work: (client: CapacityClient) => Promise<Result>,
): Promise<Result> {
  const servers = await Promise.all(
    Array.from({ length: nodes }, () =>
      startTimedNode({ profile: script, tokensOf: answerTokens(mix) }),
    ),
  );
  const worker = await startWorker({
    port: 0,
    nodeUrl: servers.map(({ url }) => url).join(","),
    nodeKeys: [labKey],
    vars: { CATALOG_TTL_MS: "600000", KEY_TTL_MS: "600000", PURGE_TTL_MS: "600000" },
  });
  try {
    const { key } = await createApiKey();
    await worker.putKey({ key, tenant: "lab", name: "lab" });
    return await work(capacityClient(worker.url, key, mix));
  } finally {
    await worker.stop();
    await Promise.all(servers.map((server) => server.stop()));
  }
}

/** What the Worker takes besides its nodes, of one request at a time. */
async function measureEdge(): Promise<EdgeTimes> {
  return withStack(1, site, async ({ ask }) => {
    const fresh = (picture: number): MixRequest => ({
      task: "caption",
      picture,
      text: undefined,
      key: "",
    });
    for (let at = 1; at <= 10; at += 1) await ask(fresh(-at));
    const missMs: number[] = [];
    const hitMs: number[] = [];
    for (let at = 11; at <= 40; at += 1) {
      const miss = await ask(fresh(-at));
      missMs.push(miss.tookMs - miss.nodeMs);
      hitMs.push((await ask(fresh(-at))).tookMs);
    }
    const hit = spreadOf(hitMs).p50;
    return { hitMs: hit, farMs: 0, missMs: Math.max(0, spreadOf(missMs).p50 - hit), toNodeMs: 0 };
  });
}

const measure = (nodes: number, mix: RequestMix, load: Load): Promise<Measured> =>
  withStack(nodes, mix, async (client) => {
    const next = requestsOf(mix, seed);
    const wait = arrivalsOf(mix, load.kind === "open" ? load.perS : 1, seed);
    const from = performance.now();
    const countFrom = from + warmUpS * 1000;
    const end = countFrom + seconds * 1000;
    const told: Awaited<ReturnType<CapacityClient["ask"]>>[] = [];
    let answeredInTime = 0;
    const one = async (): Promise<void> => {
      const startedAt = performance.now();
      const answer = await client.ask(next());
      const now = performance.now();
      if (answer.status === 200 && now >= countFrom && now < end) answeredInTime += 1;
      if (startedAt >= countFrom && startedAt < end) told.push(answer);
      if (answer.status !== 200) await new Promise((resolve) => setTimeout(resolve, 1000));
    };
    const running: Promise<void>[] = [];
    if (load.kind === "open") {
      for (let at = from + wait() * 1000; at < end; at += wait() * 1000) {
        await new Promise((resolve) => setTimeout(resolve, Math.max(0, at - performance.now())));
        running.push(one());
      }
    } else {
      for (let at = 0; at < load.callers; at += 1) {
        const caller = async (): Promise<void> => {
          while (performance.now() < end) await one();
        };
        running.push(caller());
      }
    }
    await Promise.all(running);
    const good = told.filter(({ status }) => status === 200);
    return {
      perS: answeredInTime / seconds,
      hitRate: good.filter(({ served }) => served === "cache").length / good.length,
      failed: told.length - good.length,
      latencyMs: spreadOf(good.map(({ tookMs }) => tookMs)),
    };
  });

const profile = await measureTimed(script, 200);
const edge = await measureEdge();
console.log(
  "One node alone, milliseconds:",
  JSON.stringify(profile, (name, value: unknown) =>
    typeof value === "number" && name !== "max_queue" ? Number(value.toFixed(1)) : value,
  ),
);
console.log("The Worker besides its nodes:", JSON.stringify(edge));

const runs: readonly (readonly [string, number, RequestMix, Load])[] = [
  ...[1, 2, 3].flatMap((nodes) => [
    ["site", nodes, site, { kind: "open", perS: 1.6 * nodes }] as const,
    ["site", nodes, site, { kind: "closed", callers: 8 * nodes }] as const,
  ]),
  ["other", 3, other, { kind: "open", perS: 3.6 }],
  ["other", 3, other, { kind: "closed", callers: 24 }],
];
let off = 0;
console.log(
  "\n| mix | nodes | load | | predicted | measured | off |\n| --- | ---: | --- | --- | ---: | ---: | ---: |",
);
for (const [name, nodes, mix, load] of runs) {
  const predicted = await simulate({ profile, edge, mix, nodes, load, seconds, warmUpS, seed });
  const measured = await measure(nodes, mix, load);
  const under =
    load.kind === "open" ? `${load.perS.toFixed(1)} a second` : `${load.callers} callers`;
  const rows: readonly (readonly [string, number, number, number])[] = [
    ["answered/s", predicted.perS, measured.perS, 2],
    ["p50, ms", predicted.latencyMs.p50, measured.latencyMs.p50, 0],
    ["p95, ms", predicted.latencyMs.p95, measured.latencyMs.p95, 0],
  ];
  for (const [what, before, after, digits] of rows) {
    const ratio = before / after - 1;
    if (Math.abs(ratio) > within) off += 1;
    const shown = [before, after].map((value) => value.toFixed(digits)).join(" | ");
    console.log(
      `| ${name} | ${nodes} | ${under} | ${what} | ${shown} | ${(ratio * 100).toFixed(0)} % |`,
    );
  }
  const [hits, found] = [predicted.hitRate, measured.hitRate].map(
    (rate) => `${(rate * 100).toFixed(0)} %`,
  );
  console.log(`| ${name} | ${nodes} | ${under} | found | ${hits} | ${found} | |`);
  if (measured.failed > 0)
    console.log(
      `${measured.failed} requests failed; predicted: ${JSON.stringify(predicted.failed)}`,
    );
}
console.log(`\n${off === 0 ? "Every figure" : `${off} figures are not`} within ${within * 100} %.`);
process.exitCode = off === 0 ? 0 : 1;
