// What one node is believed to be good for, from what became of its calls: in, out, or on probation.
// Envoy's outlier detection, with one difference: a node that cannot be reached is no outlier but down,
// whatever the others are (decision 0101). No clock and no I/O; plain data of one isolate.
import type { FleetPolicy } from "./policy.ts";

/** What became of a call. */
export type CallOutcome =
  | { readonly kind: "ok" }
  /** Another node was faster, after this one had taken longer than most. */
  | { readonly kind: "lost" }
  /** The time was over before it answered. */
  | { readonly kind: "timed_out" }
  /** The connection broke, or a proxy said that there is no node. */
  | { readonly kind: "broken" }
  /** A fault of the node's own. */
  | { readonly kind: "fault" }
  /** It cannot take the call now and says so: it lives. */
  | { readonly kind: "busy"; readonly restMs: number }
  /** It answered, and the answer says nothing of the node: a fault of the request, or pixels are wanted. */
  | { readonly kind: "answered" }
  /** Nobody waits any more: nothing is learnt. */
  | { readonly kind: "abandoned" };

export type OutBecause = "unreachable" | "faults" | "success_rate" | "latency";

interface Sample {
  readonly at: number;
  readonly good: boolean;
  /** How long it took, as a multiple of the median of its kind; undefined when that is not known. */
  readonly ratio: number | undefined;
}

interface Out {
  readonly because: OutBecause;
  readonly since: number;
  /** Infinite when only a sign of life ends it. */
  readonly until: number;
  checkAt: number;
  checkPauseMs: number;
}

export interface NodeHealth {
  readonly samples: Sample[];
  faultsInARow: number;
  breaksInARow: number;
  out: Out | undefined;
  /** Good calls that are still wanted before the node counts as well; 0 when it does. */
  probationLeft: number;
  /** What it was out for, while it is on probation. */
  probationFor: OutBecause | undefined;
  /** How often it was ejected lately. */
  ejections: number;
  lastOutAt: number;
  /** It asked not to be called before this time. */
  restUntil: number;
}

export const newHealth = (): NodeHealth => ({
  samples: [],
  faultsInARow: 0,
  breaksInARow: 0,
  out: undefined,
  probationLeft: 0,
  probationFor: undefined,
  ejections: 0,
  lastOutAt: 0,
  restUntil: 0,
});

/** What a finished call says; `limit` is left to the fleet, which knows how many may be out. */
export function learn(
  health: NodeHealth,
  outcome: CallOutcome,
  ratio: number | undefined,
  now: number,
  policy: FleetPolicy,
): OutBecause | undefined {
  if (outcome.kind === "abandoned") return undefined;
  if (outcome.kind === "broken") health.breaksInARow += 1;
  else if (outcome.kind !== "timed_out" && outcome.kind !== "lost") health.breaksInARow = 0;
  if (outcome.kind === "busy") {
    health.restUntil = now + Math.min(outcome.restMs, policy.maxRestMs);
    return undefined;
  }
  if (outcome.kind === "answered") return undefined;

  const good = outcome.kind === "ok" || outcome.kind === "lost";
  if (outcome.kind === "ok") health.faultsInARow = 0;
  else if (!good) health.faultsInARow += 1;
  const slow = outcome.kind === "lost" || outcome.kind === "timed_out";
  health.samples.push({ at: now, good, ratio: slow ? Number.POSITIVE_INFINITY : ratio });
  if (health.samples.length > policy.outcomesKept) health.samples.shift();

  if (health.probationLeft > 0) return judgeProbation(health, good, policy);
  if (health.breaksInARow >= policy.breaksInARow) return "unreachable";
  if (health.faultsInARow >= policy.faultsInARow) return "faults";
  return undefined;
}

/** One bad call ends a probation; one that was for slowness ends when its calls have shown what they take. */
function judgeProbation(
  health: NodeHealth,
  good: boolean,
  policy: FleetPolicy,
): OutBecause | undefined {
  const { probationFor = "faults" } = health;
  if (!good) return health.breaksInARow > 0 ? "unreachable" : probationFor;
  health.probationLeft -= 1;
  if (health.probationLeft > 0) return undefined;
  health.probationFor = undefined;
  const ratio = medianRatio(health, 1);
  if (probationFor === "latency" && ratio !== undefined && ratio >= policy.slowFactor) {
    return "latency";
  }
  return undefined;
}

/** Takes the node out of the rotation. */
export function takeOut(
  health: NodeHealth,
  because: OutBecause,
  now: number,
  policy: FleetPolicy,
): void {
  if (health.out !== undefined) return;
  health.ejections += 1;
  const lastsMs = Math.min(policy.baseEjectionMs * health.ejections, policy.maxEjectionMs);
  const checkPauseMs = Math.min(
    policy.firstCheckMs * 2 ** (health.ejections - 1),
    policy.maxCheckMs,
  );
  health.out = {
    because,
    since: now,
    until: because === "unreachable" ? Number.POSITIVE_INFINITY : now + lastsMs,
    checkAt: now + checkPauseMs,
    checkPauseMs,
  };
  clearRecord(health);
}

/** Back, one call at a time until it has shown itself. */
function letBack(health: NodeHealth, now: number, policy: FleetPolicy): void {
  if (health.out === undefined) return;
  health.probationFor = health.out.because;
  health.probationLeft = health.out.because === "latency" ? policy.probationCalls : 1;
  health.out = undefined;
  health.lastOutAt = now;
  health.restUntil = 0;
}

function clearRecord(health: NodeHealth): void {
  health.samples.length = 0;
  health.faultsInARow = 0;
  health.breaksInARow = 0;
  health.probationLeft = 0;
  health.probationFor = undefined;
}

/**
 * A sign of life: a signed heartbeat, or a check that went well. It says that the node is there, not that
 * it is fast or right: what it does badly it may try again only when its time is over, or when it has been
 * started anew since.
 */
export function heardOf(
  health: NodeHealth,
  sign: { readonly at: number; readonly startedAt?: number | undefined },
  now: number,
  policy: FleetPolicy,
): void {
  const { out } = health;
  if (out === undefined || sign.at <= out.since) return;
  const lives = out.because === "unreachable" || out.because === "faults";
  const isNew = sign.startedAt !== undefined && sign.startedAt > out.since;
  if (isNew) health.ejections = 0;
  if (lives || isNew) letBack(health, now, policy);
}

/** Ends what has lasted long enough, and forgets what is old. */
export function passTime(health: NodeHealth, now: number, policy: FleetPolicy): void {
  const { samples, out } = health;
  while (samples[0] !== undefined && samples[0].at < now - policy.outcomeAgeMs) samples.shift();
  if (out !== undefined && now >= out.until) letBack(health, now, policy);
  const { baseEjectionMs } = policy;
  if (
    health.out === undefined &&
    health.ejections > 0 &&
    now >= health.lastOutAt + baseEjectionMs
  ) {
    health.ejections -= 1;
    health.lastOutAt += baseEjectionMs;
  }
}

/** The median of what its calls took, in multiples; undefined when fewer than `volume` are known. */
export function medianRatio(
  { samples }: NodeHealth,
  volume: number,
  pending: readonly number[] = [],
): number | undefined {
  const ratios = [
    ...samples.flatMap(({ ratio }) => (ratio === undefined ? [] : [ratio])),
    ...pending,
  ];
  if (ratios.length < volume) return undefined;
  ratios.sort((a, b) => a - b);
  return ratios[Math.floor(ratios.length / 2)];
}

/** The part of its calls that went well; undefined when fewer than `volume` are known. */
export function successRate({ samples }: NodeHealth, volume: number): number | undefined {
  if (samples.length < volume) return undefined;
  return samples.filter(({ good }) => good).length / samples.length;
}
