// The whole of it in virtual time: requests of a mix come in, find their answer in a cache or wait for whoever is at it, or
// go to a node. Everything that decides is the product's own (timed-fleet.ts, timed-node.ts); how long things take is given.
// The same seed gives the same run.
import { AppError } from "@blip2-edge/shared/problem";
import type { FleetPolicy } from "../../edge/src/nodes/policy.ts";
import { createRandom } from "../../gpu-node/src/generate/random.ts";
import { virtualClock, type VirtualClock } from "../../test/support/virtual-clock.ts";
import { type NodeProfile, requireTimesFor } from "./node-profile.ts";
import {
  answerTokens,
  arrivalsOf,
  type MixRequest,
  type RequestMix,
  requestsOf,
  taskShares,
} from "./request-mix.ts";
import { type EdgeTimes, simulatedEdge } from "./simulated-edge.ts";
import { reportOf, type Served, type SimulationReport } from "./simulation-report.ts";
import { createTimedFleet, type TimedFleet } from "./timed-fleet.ts";

export type Load =
  /** So many a second, whether or not they are answered. */
  | { readonly kind: "open"; readonly perS: number }
  /** So many callers, each of which sends its next request when it has its answer. */
  | { readonly kind: "closed"; readonly callers: number };

export interface SimulationOptions {
  readonly profile: NodeProfile;
  readonly mix: RequestMix;
  readonly nodes: number;
  readonly load: Load;
  readonly edge: EdgeTimes;
  /** Counted, after so many that are not. */
  readonly seconds: number;
  readonly warmUpS?: number;
  readonly seed?: number;
  readonly isolates?: number;
  /** Places with a cache of their own, each with as many of the requests. */
  readonly places?: number;
  /** Requests that have been there before the first, and whose answers are kept. */
  readonly before?: number;
  readonly timeoutMs?: number;
  readonly policy?: Partial<FleetPolicy>;
  /** How long a call waits for a place at a node when all are taken, as NODE_QUEUE_MS. */
  readonly queueMs?: number;
  /** What a model really takes instead of what the profile says; as the profile says when left out. */
  readonly vary?: (ms: number) => number;
  /** Hears what each counted request took. */
  readonly onServed?: (tookMs: number) => void;
}

/** Of the event loop, between two moments: the engine passes one between two of its actions. */
const turns = 3;
/** Lets time pass until every node is ready. */
async function warmedUp(fleet: TimedFleet, clock: VirtualClock): Promise<void> {
  const state = { warm: false };
  const warming = fleet.warmUp().then(() => void (state.warm = true));
  while (!state.warm) await clock.runUntil(clock.now() + 1000);
  await warming;
}

function* taken(next: () => MixRequest, count: number): Generator<MixRequest> {
  for (let at = 0; at < count; at += 1) yield next();
}

/** What nodes have done so far. */
const doneBy = ({ nodes, calls }: TimedFleet) => ({
  calls,
  busyMs: nodes.map(({ busyMs }) => busyMs),
  passes: nodes.reduce((sum, { visionPasses }) => sum + visionPasses, 0),
});

/** Errors: RangeError for a mix that asks for what the profile has no times of. */
export async function simulate(options: SimulationOptions): Promise<SimulationReport> {
  const { profile, mix, edge, load, seconds, seed = 1, timeoutMs = 60_000 } = options;
  const { warmUpS = seconds / 5, isolates = 1, places = 1, before = 0, onServed } = options;
  requireTimesFor(profile, taskShares(mix));
  const clock = virtualClock(1_000_000, turns);
  const random = createRandom(seed, 3);
  const fleet = createTimedFleet({
    ...{ profile, clock, random, isolates, nodes: options.nodes, toNodeMs: edge.toNodeMs },
    tokensOf: answerTokens(mix),
    ...(options.policy === undefined ? {} : { policy: options.policy }),
    ...(options.queueMs === undefined ? {} : { queueMs: options.queueMs }),
    ...(options.vary === undefined ? {} : { vary: options.vary }),
  });
  const next = requestsOf(mix, seed);
  const waitS = arrivalsOf(mix, load.kind === "open" ? load.perS : 1, seed);
  const answer = simulatedEdge({
    ...{ mix, times: edge, fleet, clock, random, places, timeoutMs },
    before: taken(next, before),
  });

  const served: Served[] = [];
  let counting = false;
  let requests = 0;
  /** One request to its end; in how many seconds its caller may come back. */
  async function one(): Promise<number> {
    const startedAt = clock.now();
    const counted = counting;
    if (counted) requests += 1;
    const tell = (told: Omit<Served, "tookMs">): void => {
      const tookMs = clock.now() - startedAt;
      if (counted) served.push({ ...told, tookMs });
      if (counted) onServed?.(tookMs);
    };
    try {
      tell({ how: await answer(next(), startedAt), failed: undefined });
      return 0;
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      tell({ how: "live", failed: error.code });
      return error.retryAfterS ?? 1;
    }
  }

  await warmedUp(fleet, clock);
  const countFrom = clock.now() + warmUpS * 1000;
  const end = countFrom + seconds * 1000;
  const arrive = (): void => {
    if (clock.now() >= end) return;
    void one();
    clock.after(waitS() * 1000, arrive);
  };
  const call = async (): Promise<void> => {
    while (clock.now() < end) await clock.sleep((await one()) * 1000);
  };
  if (load.kind === "open") clock.after(waitS() * 1000, arrive);
  else for (let at = 0; at < load.callers; at += 1) void call();

  await clock.runUntil(countFrom);
  counting = true;
  const then = doneBy(fleet);
  await clock.runUntil(end);
  counting = false;
  const now = doneBy(fleet);
  // Who came in time is waited for.
  await clock.runUntil(end + timeoutMs + 2000);
  fleet.stop();
  return reportOf(served, {
    ...{ requests, seconds },
    nodeCallsPerS: (now.calls - then.calls) / seconds,
    visionPassesPerS: (now.passes - then.passes) / seconds,
    busy: now.busyMs.map((ms, at) => (ms - (then.busyMs[at] ?? 0)) / (seconds * 1000)),
  });
}
