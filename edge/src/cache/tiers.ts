// Where the cache lies: the isolate's memory, the Cache API of this place, KV for all places. Texts by path,
// whatever they mean; the nearest tier is asked first and what a far one has moves to the near ones. A tier
// that fails is a miss, never a failure of the request. Bounded by time (ttlS).
import type { MemoryTier } from "./memory-tier.ts";

/** What this room needs of the Cache API. */
export interface FrontTier {
  match(url: string): Promise<Response | undefined>;
  put(url: string, response: Response): Promise<void>;
  delete(url: string): Promise<unknown>;
}

/** What this room needs of KV. */
export interface BackTier {
  get(key: string): Promise<string | null>;
  put(key: string, value: string, options: { expirationTtl: number }): Promise<void>;
  delete(key: string): Promise<void>;
}

export interface TiersOptions {
  readonly memory: MemoryTier;
  readonly front: FrontTier;
  readonly back: BackTier;
  readonly ttlS: number;
  /** Work that may outlast the answer. */
  readonly later: (work: Promise<unknown>) => void;
  readonly onFault: (tier: "front" | "back", error: unknown) => void;
}

export interface Tiers {
  /**
   * The first of the paths that has something which `read` takes for a value, in the nearest tier that has
   * one: `read` gives undefined for what is none, or no longer.
   */
  find<Value>(
    paths: readonly string[],
    read: (text: string) => Value | undefined,
  ): Promise<{ readonly value: Value; readonly path: string } | undefined>;
  /** What this isolate remembers, without asking further. */
  recall(path: string): string | undefined;
  put(path: string, text: string): Promise<void>;
  delete(path: string): Promise<void>;
}

/** One tier as it is read; they stand from near to far. */
interface Source {
  get(path: string): string | undefined | Promise<string | undefined>;
  /** Copies what it had to the tiers before it. */
  near(path: string, text: string): void;
  fault(error: unknown): void;
}

/** A host that nothing answers; the Cache API wants URLs. */
const frontUrl = (path: string): string => `https://cache.blip2-edge.invalid/${path}`;

export function tiers(options: TiersOptions): Tiers {
  const { memory, front, back, ttlS, later, onFault } = options;
  const faultOf = (tier: "front" | "back") => (error: unknown) => onFault(tier, error);

  const putFront = (path: string, text: string): Promise<void> =>
    front
      .put(
        frontUrl(path),
        new Response(text, {
          headers: { "content-type": "application/json", "cache-control": `max-age=${ttlS}` },
        }),
      )
      .catch(faultOf("front"));

  const sources: readonly Source[] = [
    { get: (path) => memory.get(path), near: () => {}, fault: () => {} },
    {
      get: async (path) => (await front.match(frontUrl(path)))?.text(),
      near: (path, text) => memory.set(path, text, ttlS),
      fault: faultOf("front"),
    },
    {
      get: async (path) => (await back.get(path)) ?? undefined,
      near(path, text) {
        memory.set(path, text, ttlS);
        later(putFront(path, text));
      },
      fault: faultOf("back"),
    },
  ];

  return {
    recall: memory.get,
    async find<Value>(paths: readonly string[], read: (text: string) => Value | undefined) {
      for (const source of sources) {
        for (const path of paths) {
          try {
            const text = await source.get(path);
            const value = text === undefined ? undefined : read(text);
            if (text === undefined || value === undefined) continue;
            source.near(path, text);
            return { value, path };
          } catch (error) {
            source.fault(error);
          }
        }
      }
      return undefined;
    },
    async put(path, text) {
      memory.set(path, text, ttlS);
      // The front tier at once, so that the next request here hits; KV may take its time.
      later(back.put(path, text, { expirationTtl: ttlS }).catch(faultOf("back")));
      await putFront(path, text);
    },
    async delete(path) {
      memory.delete(path);
      await Promise.all([
        front.delete(frontUrl(path)).catch(faultOf("front")),
        back.delete(path).catch(faultOf("back")),
      ]);
    },
  };
}
