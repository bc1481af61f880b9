// Results through the cache: what is kept already is not computed again, what is being computed is waited for,
// what is computed is kept.
import type { CacheOutcome } from "../cache/answer-headers.ts";
import type { ResultKey } from "../cache/keys.ts";
import type { ResultCache } from "../cache/results.ts";
import { keepsNothing, type AuthenticatedContext } from "../context.ts";
import type { Partition, Partitions } from "../partition.ts";
import type { Rooms } from "./rooms.ts";

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
  rooms: Pick<Rooms, "results" | "collapse">,
  work: CachedWork<Item, Value>,
  context: AuthenticatedContext,
): Promise<CachedValues<Item, Value>> {
  const values = new Map<Item, Value>();
  if (keepsNothing(context)) {
    noteOutcome(context, "no-store");
    await computeInto(values, work.items, work);
    return valuesOf(values, "no-store");
  }
  const lookUp = () => lookUpInto(values, rooms.results, work, context);
  const foundIn = await context.hops.time("lookup", lookUp);
  const missing = work.items.filter((item) => !values.has(item));
  const outcome: CacheOutcome =
    missing.length === 0 ? "hit" : values.size === 0 ? "miss" : "partial";
  noteOutcome(context, outcome);
  if (foundIn.size > 0) context.event["cache_partitions"] = [...foundIn];
  if (missing.length === 0 || (await computeOnce(values, missing, rooms, work, context))) {
    return valuesOf(values, outcome);
  }
  noteOutcome(context, "collapsed");
  return valuesOf(values, "collapsed");
}

async function lookUpInto<Item, Value>(
  values: Map<Item, Value>,
  results: ResultCache,
  { items, partitions, keyOf }: CachedWork<Item, Value>,
  { later }: AuthenticatedContext,
): Promise<ReadonlySet<Partition>> {
  const foundIn = new Set<Partition>();
  await Promise.all(
    items.map(async (item) => {
      if (values.has(item)) return;
      const hit = await results.find(partitions, keyOf(item));
      if (hit === undefined) return;
      values.set(item, hit.value);
      foundIn.add(hit.partition);
      // What was found in a shared partition becomes the tenant's own as well.
      if (hit.partition !== partitions[0]) {
        later(results.store([partitions[0]], keyOf(item), hit.value, hit.at));
      }
    }),
  );
  return foundIn;
}

/** False: another request has computed them meanwhile. Only who computes stores them. */
async function computeOnce<Item, Value>(
  values: Map<Item, Value>,
  missing: readonly Item[],
  { results, collapse }: Pick<Rooms, "results" | "collapse">,
  work: CachedWork<Item, Value>,
  context: AuthenticatedContext,
): Promise<boolean> {
  const { partitions, keyOf } = work;
  const keys = missing.map(keyOf);
  const written = (): string => JSON.stringify(missing.map((item) => values.get(item)));
  let computedHere = false;
  const compute = async (waited: boolean): Promise<string> => {
    if (waited) {
      // Who was at it may have stored it before it was lost.
      await lookUpInto(values, results, { ...work, items: missing }, context);
      if (missing.every((item) => values.has(item))) return written();
    }
    computedHere = true;
    await computeInto(values, missing, work);
    const store = (item: Item) => results.store(partitions, keyOf(item), values.get(item));
    await context.hops.time("store", () => Promise.all(missing.map(store)));
    return written();
  };
  const place = await results.placeOf(partitions, keys);
  const done = await collapse.once({ ...place, compute }, context);
  if (!done.shared) return computedHere;
  const shared = read(done.values, keys);
  if (shared === undefined) throw new Error("another request's results are not understood");
  missing.forEach((item, index) => values.set(item, shared[index] as Value));
  return false;
}

function read<Value>(text: string, keys: readonly ResultKey<Value>[]): Value[] | undefined {
  const parsed: unknown = JSON.parse(text);
  if (!Array.isArray(parsed) || parsed.length !== keys.length) return undefined;
  const values = keys.map(({ schema }, index) => schema.safeParse(parsed[index]));
  return values.every(({ success }) => success)
    ? values.map(({ data }) => data as Value)
    : undefined;
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
