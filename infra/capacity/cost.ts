// From a rate of requests to nodes and money: what part of them is found where, what the rest costs nodes, and what all of
// it costs in a month.
import { hitRate } from "./hit-rate.ts";
import { objectGb, operations } from "./operations.ts";
import { addedUp, type Amounts, priceOf, type Prices, times } from "./prices.ts";
import { type RequestMix, taskShares } from "./request-mix.ts";

export interface CostOptions {
  readonly mix: RequestMix;
  readonly prices: Prices;
  /** Of a month, for one machine. */
  readonly boxPrice: number;
  /** Calls a second that one node takes within the bounds (plan.ts). */
  readonly callsPerNode: number;
  /** How long results live, and how many places have a cache of their own. */
  readonly ttlS: number;
  readonly places: number;
  /** CPU of the Worker, in milliseconds. */
  readonly cpuMs: { readonly hit: number; readonly miss: number };
  /** For which a miss keeps its Durable Object awake. */
  readonly liveS: number;
  /** Above what is needed, for one that is away. */
  readonly spareNodes: number;
}

export interface CostRow {
  readonly perS: number;
  readonly hitRate: number;
  readonly nearRate: number;
  readonly callsPerS: number;
  readonly nodes: number;
  /** Of a month. */
  readonly edge: number;
  readonly boxes: number;
  readonly total: number;
  readonly perThousand: number;
  /** The dearest unit at Cloudflare. */
  readonly dearest: string;
}

const secondsOfMonth = (365.25 / 12) * 86_400;

export function costAt(perS: number, options: CostOptions): CostRow {
  const { mix, prices, boxPrice, callsPerNode, ttlS, places, cpuMs, liveS, spareNodes } = options;
  const found = hitRate(mix, perS, ttlS);
  const near = hitRate(mix, perS / places, ttlS);
  const missed = 1 - found;
  const one: Amounts = addedUp(
    times(operations.near, near),
    times(operations.far, found - near),
    times(operations.miss, missed),
    times(operations.search, taskShares(mix).search),
    {
      worker_cpu_ms: found * cpuMs.hit + missed * cpuMs.miss,
      do_gb_s: missed * liveS * objectGb,
    },
  );
  const priced = priceOf(prices, times(one, perS * secondsOfMonth));
  const edge = prices.base_per_month + Object.values(priced).reduce((sum, each) => sum + each, 0);
  const callsPerS = perS * missed;
  const nodes = Math.max(1, Math.ceil(callsPerS / callsPerNode)) + spareNodes;
  const boxes = nodes * boxPrice;
  const [dearest = ""] = Object.entries(priced).toSorted(([, a], [, b]) => b - a)[0] ?? [];
  return {
    ...{ perS, hitRate: found, nearRate: near, callsPerS, nodes, edge, boxes, dearest },
    total: edge + boxes,
    perThousand: ((edge + boxes) / (perS * secondsOfMonth)) * 1000,
  };
}
