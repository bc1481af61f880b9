// What a simulation tells: of the requests that came while it counted, and of the nodes meanwhile.
import { type Spread, spreadOf } from "../../gpu-node/src/bench/percentiles.ts";

export interface SimulationReport {
  readonly requests: number;
  readonly answered: number;
  readonly perS: number;
  /** By the code of their problem. */
  readonly failed: Readonly<Record<string, number>>;
  readonly latencyMs: Spread;
  /** Of those that asked a node, or waited for who did. */
  readonly liveMs: Spread;
  readonly hitRate: number;
  /** Of the hits, those in the cache of the place. */
  readonly nearShare: number;
  /** Of those that were not found. */
  readonly sharedShare: number;
  readonly nodeCallsPerS: number;
  readonly visionPassesPerS: number;
  /** The part of the time for which each node had something to run. */
  readonly busy: readonly number[];
}

/** One request that was counted. */
export interface Served {
  /** In the cache of the place, in KV, with who was at it already, or by a node. */
  readonly how: "near" | "far" | "shared" | "live";
  readonly tookMs: number;
  readonly failed: string | undefined;
}

export interface Counted extends Pick<
  SimulationReport,
  "requests" | "nodeCallsPerS" | "visionPassesPerS" | "busy"
> {
  readonly seconds: number;
}

export function reportOf(
  served: readonly Served[],
  { seconds, ...counted }: Counted,
): SimulationReport {
  const answered = served.filter(({ failed }) => failed === undefined);
  const how = (...hows: readonly Served["how"][]) =>
    answered.filter((each) => hows.includes(each.how));
  const live = how("live", "shared");
  const hits = how("near", "far");
  const failed: Record<string, number> = {};
  for (const { failed: code } of served) {
    if (code !== undefined) failed[code] = (failed[code] ?? 0) + 1;
  }
  return {
    answered: answered.length,
    perS: answered.length / seconds,
    failed,
    latencyMs: spreadOf(answered.map(({ tookMs }) => tookMs)),
    liveMs: spreadOf(live.map(({ tookMs }) => tookMs)),
    hitRate: hits.length / Math.max(1, answered.length),
    nearShare: how("near").length / Math.max(1, hits.length),
    sharedShare: how("shared").length / Math.max(1, live.length),
    ...counted,
  };
}
