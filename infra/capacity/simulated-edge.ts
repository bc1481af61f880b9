// The edge as a simulation needs it: a cache for each place, one for all behind it, and whoever is at a piece of work already;
// what is in none of them is asked of nodes, by the edge's own asking in one of its isolates.
import { AppError } from "@blip2-edge/shared/problem";
import type { Clock } from "../../edge/src/nodes/clock.ts";
import { askFor } from "./ask-mix.ts";
import type { MixRequest, RequestMix } from "./request-mix.ts";
import type { Served } from "./simulation-report.ts";
import type { TimedFleet } from "./timed-fleet.ts";

/** What the edge takes, in milliseconds. */
export interface EdgeTimes {
  /** From the request to the answer where the cache of the place has it. */
  readonly hitMs: number;
  /** More, where only KV has it. */
  readonly farMs: number;
  /** More than a hit, where a node is asked: the picture is decoded, the result is stored. */
  readonly missMs: number;
  /** To a node, and as long back. */
  readonly toNodeMs: number;
}

export interface SimulatedEdgeOptions {
  readonly mix: RequestMix;
  readonly times: EdgeTimes;
  readonly fleet: Pick<TimedFleet, "askers">;
  readonly clock: Clock;
  readonly random: () => number;
  /** Places with a cache of their own, each with as many of the requests. */
  readonly places: number;
  /** Requests that have been there before, and whose answers are kept. */
  readonly before: Iterable<MixRequest>;
  readonly timeoutMs: number;
}

/** Answers a request, in virtual time, and tells how. Errors: AppError, as the caller would get it. */
export function simulatedEdge(
  options: SimulatedEdgeOptions,
): (request: MixRequest, startedAt: number) => Promise<Served["how"]> {
  const { mix, times, fleet, clock, random, places, before, timeoutMs } = options;
  const kept = new Set<string>();
  const near = Array.from({ length: places }, () => new Set<string>());
  const pick = (count: number): number => Math.floor(random() * count);
  for (const { key, picture = 0 } of before) {
    if (picture < 0) continue;
    kept.add(key);
    near[pick(places)]?.add(key);
  }
  const atWork = new Map<string, Promise<void>>();

  return async (request, startedAt) => {
    const { key } = request;
    const place = near[pick(places)];
    const asker = fleet.askers[pick(fleet.askers.length)];
    await clock.sleep(times.hitMs);
    if (place?.has(key) === true) return "near";
    if (kept.has(key)) {
      await clock.sleep(times.farMs);
      place?.add(key);
      return "far";
    }
    const other = atWork.get(key);
    if (other !== undefined) {
      await other;
      return "shared";
    }
    const work = (async () => {
      await clock.sleep(times.missMs);
      const stop = new AbortController();
      const cancel = clock.after(timeoutMs, () =>
        stop.abort(new AppError("deadline_exceeded", "")),
      );
      try {
        if (asker === undefined) throw new Error("no isolate");
        const remainingMs = (): number => startedAt + timeoutMs - clock.now();
        await askFor(request, asker, mix, remainingMs, stop.signal);
      } finally {
        cancel();
      }
    })();
    atWork.set(key, work);
    try {
      await work;
    } finally {
      atWork.delete(key);
    }
    // What is fresh is asked for once: keeping it would only take room here.
    if ((request.picture ?? 0) >= 0) {
      kept.add(key);
      place?.add(key);
    }
    return "live";
  };
}
