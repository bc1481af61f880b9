// The numbers of the failure policy (docs/edge-nodes.md has their sources). They hold for one isolate:
// what it has seen of the nodes, and nothing of what others have.

export interface FleetPolicy {
  /** A node takes at most this many times its share of what is in flight (bounded load). */
  readonly loadFactor: number;
  /** Calls in flight at one node, of this isolate. */
  readonly maxInFlight: number;
  /** The part of them that bulk may take. */
  readonly bulkShare: number;

  /** Calls in a row that a node answered with a fault of its own, after which it is ejected. */
  readonly faultsInARow: number;
  /** Calls in a row whose connection broke, after which the node is down. */
  readonly breaksInARow: number;
  /** Outcomes of a node that are looked at, and how old they may be. */
  readonly outcomesKept: number;
  readonly outcomeAgeMs: number;
  readonly evaluateEveryMs: number;
  /** Success rate: outcomes needed; standard deviations below the others' mean; the least deviation taken. */
  readonly rateVolume: number;
  readonly rateDeviations: number;
  readonly rateMinDeviation: number;
  /** Latency: samples needed; times the others' median. */
  readonly slowVolume: number;
  readonly slowFactor: number;

  /** An ejection lasts so long, times how often it has happened lately, up to the maximum. */
  readonly baseEjectionMs: number;
  readonly maxEjectionMs: number;
  /** The part of the nodes that may be ejected as outliers; at least one of several. */
  readonly maxEjectedShare: number;
  /** Good calls, one at a time, that a node needs when it comes back. */
  readonly probationCalls: number;
  /** Pause before a node that is out is checked; doubled each time up to the maximum. */
  readonly firstCheckMs: number;
  readonly maxCheckMs: number;
  /** The longest that a node which says it is full or not ready is passed over. */
  readonly maxRestMs: number;

  /** Retries: a part of the calls in the window, but at least so many a second. */
  readonly retryShare: number;
  readonly retriesPerS: number;
  /** Hedges: a part of the calls in the window, and no more. */
  readonly hedgeShare: number;
  readonly budgetWindowMs: number;
  /** A call that takes longer than this part of its kind is asked elsewhere as well. */
  readonly hedgeQuantile: number;
  /** Calls of a kind that must be known before one is hedged, or judged by. */
  readonly hedgeVolume: number;
  readonly minHedgeMs: number;
  /** How fast latencies are forgotten. */
  readonly latencyHalfLifeMs: number;
}

export const defaultPolicy: FleetPolicy = Object.freeze({
  loadFactor: 1.25,
  maxInFlight: 64,
  bulkShare: 0.5,
  faultsInARow: 5,
  breaksInARow: 3,
  outcomesKept: 32,
  outcomeAgeMs: 60_000,
  evaluateEveryMs: 1000,
  rateVolume: 20,
  rateDeviations: 1.9,
  rateMinDeviation: 0.15,
  slowVolume: 12,
  slowFactor: 3,
  baseEjectionMs: 30_000,
  maxEjectionMs: 300_000,
  maxEjectedShare: 0.5,
  probationCalls: 3,
  firstCheckMs: 1000,
  maxCheckMs: 10_000,
  maxRestMs: 5000,
  retryShare: 0.1,
  retriesPerS: 10,
  hedgeShare: 0.05,
  budgetWindowMs: 10_000,
  hedgeQuantile: 0.95,
  hedgeVolume: 40,
  minHedgeMs: 10,
  latencyHalfLifeMs: 60_000,
});
