// A whole bench of one artifact, in the order in which one step needs the other: the machine's limits, the stages in
// this process, then a node of its own under load.
import { randomBytes } from "node:crypto";
import { AppError } from "@blip2-edge/shared/problem";
import { parseSigningKeys } from "@blip2-edge/shared/wire/signature";
import { openArtifact } from "../artifact/open-artifact.ts";
import { runtimeVersion } from "../runtime/ort.ts";
import type { ProviderName } from "../runtime/providers.ts";
import { compareStages } from "./compare-stages.ts";
import type { Lengths } from "./load-mix.ts";
import { describeMachine } from "./machine.ts";
import { type LoadReport, measureLoad } from "./measure-load.ts";
import { measureLimits } from "./measure-limits.ts";
import { measureStages, type StageTimes } from "./measure-stages.ts";
import { connect } from "./node-client.ts";
import { serveNode } from "./node-process.ts";
import { sumMemory } from "./process-memory.ts";
import type { BenchReport, NodeFacts } from "./report.ts";
import { soak, type SoakReport } from "./soak.ts";
import { artifactWork } from "./stage-work.ts";

export interface BenchSettings {
  readonly artifact: string;
  readonly threads: number;
  readonly provider: ProviderName;
  readonly images: readonly number[];
  readonly decodeBatches: readonly number[];
  readonly newTokens: number;
  readonly repeats: number;
  readonly concurrency: readonly number[];
  readonly lengths: Lengths;
  readonly leastRequests: number;
  /** 0: none. */
  readonly soakMinutes: number;
  /** Further flags of `blip2 serve`. */
  readonly serveFlags: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

/** A plain caption: the start token alone. */
const textTokens = 1;
/** More than the last cache of any machine that is not a rarity. */
const coldBytes = 256e6;
const msPerRepeat = 50;

/** Errors: `usage` for a model that writes nothing, those of the steps, the signal's reason. */
export async function runBench(settings: BenchSettings): Promise<BenchReport> {
  const { images, decodeBatches, newTokens, threads, provider, repeats, say } = settings;
  const machine = describeMachine();
  const artifact = await openArtifact(settings.artifact);
  const { manifest } = artifact;
  if (manifest.family === "retrieval") {
    throw new AppError(
      "usage",
      `${settings.artifact} holds ${manifest.name}, a retrieval model; the bench measures models that caption (family opt or t5).`,
    );
  }
  if (machine.busy) {
    say(
      `warning: the machine is busy (load average ${machine.loadAverage.toFixed(1)}); figures of a busy machine say little`,
    );
  }
  const work = await artifactWork(artifact, manifest);
  const sizes = { vision: images, qformer: images, prefill: images, decode: decodeBatches };
  // What takes microseconds needs more than three repeats to meet an undisturbed moment.
  const leastMs = msPerRepeat * (repeats - 1);
  const repeated = { ...settings, leastMs };
  const limits = await measureLimits(work, { ...repeated, coldBytes, sizes, textTokens });
  const times = await measureStages(repeated);
  const served = await measureNode(settings, times);
  return {
    format: "blip2-edge/bench/v1",
    machine,
    settings: { threads, provider, runtime: runtimeVersion(), newTokens, repeats },
    artifact: {
      name: manifest.name,
      modelRevision: manifest.model_revision,
      family: manifest.family,
      precision: manifest.precision.name,
      bytes: Object.values(manifest.files).reduce((sum, { bytes }) => sum + bytes, 0),
    },
    limits,
    loadSeconds: times.loadSeconds,
    ...compareStages(work, limits, times, { textTokens, newTokens }),
    ...served,
  };
}

async function measureNode(
  settings: BenchSettings,
  times: StageTimes,
): Promise<{ node: NodeFacts; load: LoadReport; soak?: SoakReport }> {
  const { soakMinutes, concurrency, signal, say } = settings;
  say("starting a node");
  const keys = `bench:${randomBytes(32).toString("hex")}`;
  const node = await serveNode({ ...settings, keys });
  try {
    const client = await connect(node.url, parseSigningKeys(keys), signal);
    const load = await measureLoad(client, node, times, settings);
    const memory = await sumMemory(node.pids);
    const facts = { readySeconds: node.readySeconds, peakBytes: memory?.peakBytes ?? null };
    if (soakMinutes === 0) return { node: facts, load };
    const soaked = await soak(client, {
      ...settings,
      minutes: soakMinutes,
      concurrency: Math.max(...concurrency),
      pids: node.pids,
    });
    return { node: facts, load, soak: soaked };
  } finally {
    await node.stop();
  }
}
