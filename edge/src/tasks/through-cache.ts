// Results through the cache: what is kept already is not computed again, what is computed is kept.
import type { CacheOutcome } from "../cache/answer-headers.ts";
import type { ResultKey } from "../cache/keys.ts";
import type { ResultCache } from "../cache/results.ts";
import type { AuthenticatedContext } from "../context.ts";
import type { Partition, Partitions } from "../partition.ts";

export interface CachedWork<Item, Value> {
  /** What is wanted, each once. */
  readonly items: readonly Item[];
  readonly partitions: Partitions;
  readonly keyOf: (item: Item) => ResultKey<Value>;
  /** Values of the items that no cache has, in their order. */
  readonly compute: (missing: readonly Item[]) => Promise<readonly Value[]>;
}

export interface CachedValues<Item, Value> {
  readonly of: (item: Item) => Value;
  readonly outcome: CacheOutcome;
}

export async function throughCache<Item, Value>(
  results: ResultCache,
  { items, partitions, keyOf, compute }: CachedWork<Item, Value>,
  { event, hops, later }: AuthenticatedContext,
): Promise<CachedValues<Item, Value>> {
  const values = new Map<Item, Value>();
  const foundIn = new Set<Partition>();
  const lookUp = async () =>
    Promise.all(
      items.map(async (item) => {
        const hit = await results.find(partitions, keyOf(item));
        if (hit === undefined) return;
        values.set(item, hit.result);
        foundIn.add(hit.partition);
        // What was found in a shared partition becomes the tenant's own as well.
        if (hit.partition !== partitions[0]) {
          later(results.store([partitions[0]], keyOf(item), hit.result));
        }
      }),
    );
  await hops.time("lookup", lookUp);
  const missing = items.filter((item) => !values.has(item));
  const outcome: CacheOutcome =
    missing.length === 0 ? "hit" : values.size === 0 ? "miss" : "partial";
  event["cache"] = outcome;
  if (foundIn.size > 0) event["cache_partitions"] = [...foundIn];

  if (missing.length > 0) {
    const computed = await compute(missing);
    if (computed.length !== missing.length) throw new Error("a result is missing");
    const pairs = missing.map((item, index) => [item, computed[index] as Value] as const);
    await hops.time("store", () =>
      Promise.all(
        pairs.map(async ([item, value]) => {
          values.set(item, value);
          await results.store(partitions, keyOf(item), value);
        }),
      ),
    );
  }
  return {
    outcome,
    of(item) {
      const value = values.get(item);
      if (value === undefined) throw new Error("a result that was not asked for");
      return value;
    },
  };
}
