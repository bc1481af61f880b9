// Which nodes are unlike the others: whose calls fail more often, or take much longer. Each is compared
// with the others alone, so that one bad node of two is found as well.
import { medianRatio, successRate, type NodeHealth, type OutBecause } from "./node-health.ts";
import type { FleetPolicy } from "./policy.ts";

export interface Outlier<Member> {
  readonly member: Member;
  readonly because: OutBecause;
}

export function findOutliers<Member extends { readonly health: NodeHealth }>(
  members: readonly Member[],
  pendingRatios: (member: Member) => readonly number[],
  policy: FleetPolicy,
): Outlier<Member>[] {
  const known = members
    .filter(({ health }) => health.out === undefined && health.probationLeft === 0)
    .map((member) => ({
      member,
      rate: successRate(member.health, policy.rateVolume),
      ratio: medianRatio(member.health, policy.slowVolume, pendingRatios(member)),
    }));
  return known.flatMap(({ member, rate, ratio }): Outlier<Member>[] => {
    const others = known.filter((other) => other.member !== member);
    if (fails(rate, defined(others.map((other) => other.rate)), policy)) {
      return [{ member, because: "success_rate" }];
    }
    if (lags(ratio, defined(others.map((other) => other.ratio)), policy)) {
      return [{ member, because: "latency" }];
    }
    return [];
  });
}

const defined = (values: readonly (number | undefined)[]): number[] =>
  values.filter((value) => value !== undefined);

/** Envoy's rule, mean less 1.9 deviations; with a least deviation, since few nodes give none to speak of. */
function fails(rate: number | undefined, others: readonly number[], policy: FleetPolicy): boolean {
  if (rate === undefined || others.length === 0) return false;
  const mean = others.reduce((sum, other) => sum + other, 0) / others.length;
  const variance = others.reduce((sum, other) => sum + (other - mean) ** 2, 0) / others.length;
  const deviation = Math.max(Math.sqrt(variance), policy.rateMinDeviation);
  return rate < mean - policy.rateDeviations * deviation;
}

function lags(ratio: number | undefined, others: readonly number[], policy: FleetPolicy): boolean {
  if (ratio === undefined || others.length === 0) return false;
  const sorted = others.toSorted((a, b) => a - b);
  return ratio >= policy.slowFactor * (sorted[Math.floor((sorted.length - 1) / 2)] ?? Infinity);
}
