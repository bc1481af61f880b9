// How many nodes: the most calls that one node answers within the bounds, found by simulating it alone at growing rates;
// and for a rate of requests the fewest nodes whose simulation keeps them.
import { type NodeProfile, timeAt } from "./node-profile.ts";
import type { RequestMix } from "./request-mix.ts";
import { simulate, type SimulationOptions } from "./simulate.ts";
import type { SimulationReport } from "./simulation-report.ts";

export interface Bounds {
  /** Of all requests that were answered. */
  readonly p99Ms: number;
  /** The part that may be refused or fail. */
  readonly failing: number;
}

/** How near the two rates come. */
const near = 0.03;

export const defaultBounds: Bounds = { p99Ms: 10_000, failing: 0.001 };

/** `requests`: of each simulation, however long they take to come. */
export type Fixed = Omit<SimulationOptions, "nodes" | "load" | "seconds"> & {
  readonly requests: number;
};

const simulateAt = (perS: number, nodes: number, { requests, ...fixed }: Fixed) =>
  simulate({ ...fixed, nodes, load: { kind: "open", perS }, seconds: requests / perS });

export function keeps(
  { requests, answered, latencyMs }: SimulationReport,
  bounds: Bounds,
): boolean {
  return (
    requests > 0 &&
    (requests - answered) / requests <= bounds.failing &&
    latencyMs.p99 <= bounds.p99Ms
  );
}

export interface NodeCapacity {
  /** Requests a second of the mix, with what one node's cache misses. */
  readonly perS: number;
  /** Of them those that reach the node. */
  readonly callsPerS: number;
  readonly report: SimulationReport;
}

/** Of one caption by itself, in the mean of its lengths. */
export function captionMs(
  profile: NodeProfile,
  { answer_tokens: [least, most] }: RequestMix,
): number {
  const steps = (least + most) / 2 - 1;
  return (
    timeAt(profile.look_ms, 1) +
    timeAt(profile.prefill_ms, profile.image_tokens + 1) +
    steps * timeAt(profile.step_ms, 1)
  );
}

/**
 * Halves the way between a rate that one node keeps and one that it does not, until they are near. Errors: RangeError
 * where it keeps none.
 */
export async function capacityOfOne(fixed: Fixed, bounds: Bounds): Promise<NodeCapacity> {
  const alone = 1000 / captionMs(fixed.profile, fixed.mix);
  let best: { readonly perS: number; readonly report: SimulationReport } | undefined;
  let over: number | undefined;
  for (let perS = alone / 2; perS > alone / 64 && perS < alone * 1000;) {
    const report = await simulateAt(perS, 1, fixed);
    if (keeps(report, bounds)) best = { perS, report };
    else over = perS;
    if (over === undefined) perS *= 2;
    else if (best === undefined) perS /= 2;
    else if (over - best.perS <= near * over) break;
    else perS = (over + best.perS) / 2;
  }
  if (best === undefined) {
    throw new RangeError(
      "One node alone does not keep the bounds at any rate: allow a longer time.",
    );
  }
  return { ...best, callsPerS: best.report.nodeCallsPerS };
}

/** The fewest nodes that keep the bounds at this rate. Errors: RangeError where `most` do not. */
export async function nodesFor(perS: number, fixed: Fixed, bounds: Bounds, most = 32) {
  for (let nodes = 1; nodes <= most; nodes += 1) {
    const report = await simulateAt(perS, nodes, fixed);
    if (keeps(report, bounds)) return { nodes, report };
  }
  throw new RangeError(`${most} nodes do not keep the bounds at ${perS} requests a second.`);
}
