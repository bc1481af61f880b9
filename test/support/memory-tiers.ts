// The tiers of the Worker's cache over maps that can be looked into, emptied and broken.
import { memoryTier } from "../../edge/src/cache/memory-tier.ts";
import type { Purges } from "../../edge/src/cache/purges.ts";
import { tiers, type Tiers } from "../../edge/src/cache/tiers.ts";

export interface MemoryTiers {
  readonly tiers: Tiers;
  readonly front: Map<string, string>;
  readonly back: Map<string, string>;
  readonly faults: readonly string[];
  /** What was asked of which tier, in order: `front get`, `back put`. */
  readonly calls: string[];
  /** Waits for what may outlast an answer. */
  settle(): Promise<unknown>;
  /** `front`, `back`, both, or none: they fail from now on. */
  breakTiers(which: string): void;
}

export const nothingPurged: Pick<Purges, "of"> = { of: () => Promise.resolve(() => -1) };

/** `maxBytes` of the tier in the isolate; 0: none. */
export function memoryTiers({ maxBytes = 0 } = {}): MemoryTiers {
  const front = new Map<string, string>();
  const back = new Map<string, string>();
  const faults: string[] = [];
  const calls: string[] = [];
  const work: Promise<unknown>[] = [];
  let broken = "";
  const check = (tier: "front" | "back", what: string): Promise<void> => {
    calls.push(`${tier} ${what}`);
    return broken.includes(tier) ? Promise.reject(new Error("down")) : Promise.resolve();
  };
  return {
    front,
    back,
    faults,
    calls,
    settle: () => Promise.all(work),
    breakTiers(which) {
      broken = which;
    },
    tiers: tiers({
      memory: memoryTier({ maxBytes }),
      ttlS: 60,
      later: (promise) => void work.push(promise),
      onFault: (tier) => void faults.push(tier),
      front: {
        async match(url) {
          await check("front", "get");
          const body = front.get(url);
          return body === undefined ? undefined : new Response(body);
        },
        async put(url, response) {
          await check("front", "put");
          front.set(url, await response.text());
        },
        async delete(url) {
          await check("front", "delete");
          return front.delete(url);
        },
      },
      back: {
        async get(path) {
          await check("back", "get");
          return back.get(path) ?? null;
        },
        async put(path, body) {
          await check("back", "put");
          back.set(path, body);
        },
        async delete(path) {
          await check("back", "delete");
          back.delete(path);
        },
      },
    }),
  };
}
