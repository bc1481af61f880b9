// Results through the cache: what is kept already is not computed again, what is computed is kept.
import type { CacheOutcome } from "../cache/answer-headers.ts";
import type { ResultKey } from "../cache/keys.ts";
import type { ResultCache } from "../cache/results.ts";
import { keepsNothing, type AuthenticatedContext } from "../context.ts";
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
  work: CachedWork<Item, Value>,
  context: AuthenticatedContext,
): Promise<CachedValues<Item, Value>> {
  const { items, partitions, keyOf } = work;
  const values = new Map<Item, Value>();
  if (keepsNothing(context)) {
    noteOutcome(context, "no-store");
    await computeInto(values, items, work);
    return valuesOf(values, "no-store");
  }
  const foundIn = new Set<Partition>();
  const lookUp = async () =>
    Promise.all(
      items.map(async (item) => {
        const hit = await results.find(partitions, keyOf(item));
        if (hit === undefined) return;
        values.set(item, hit.value);
        foundIn.add(hit.partition);
        // What was found in a shared partition becomes the tenant's own as well.
        if (hit.partition !== partitions[0]) {
          context.later(results.store([partitions[0]], keyOf(item), hit.value, hit.at));
        }
      }),
    );
  await context.hops.time("lookup", lookUp);
  const missing = items.filter((item) => !values.has(item));
  const outcome: CacheOutcome =
    missing.length === 0 ? "hit" : values.size === 0 ? "miss" : "partial";
  noteOutcome(context, outcome);
  if (foundIn.size > 0) context.event["cache_partitions"] = [...foundIn];
  if (missing.length > 0) {
    await computeInto(values, missing, work);
    await context.hops.time("store", () =>
      Promise.all(
        missing.map(async (item) => {
          const value = values.get(item);
          if (value !== undefined) await results.store(partitions, keyOf(item), value);
        }),
      ),
    );
  }
  return valuesOf(values, outcome);
}

function noteOutcome({ event, served }: AuthenticatedContext, outcome: CacheOutcome): void {
  event["cache"] = outcome;
  served.results = outcome;
}

async function computeInto<Item, Value>(
  values: Map<Item, Value>,
  items: readonly Item[],
  { compute }: CachedWork<Item, Value>,
): Promise<void> {
  const computed = await compute(items);
  if (computed.length !== items.length) throw new Error("a result is missing");
  items.forEach((item, index) => values.set(item, computed[index] as Value));
}

const valuesOf = <Item, Value>(
  values: ReadonlyMap<Item, Value>,
  outcome: CacheOutcome,
): CachedValues<Item, Value> => ({
  outcome,
  of(item) {
    const value = values.get(item);
    if (value === undefined) throw new Error("a result that was not asked for");
    return value;
  },
});
