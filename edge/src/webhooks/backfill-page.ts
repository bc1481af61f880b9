// A page of a CMS's list beside what the inbox knows already: which pictures a backfill takes up. Asked about before and
// with words, or a suggestion, means: not again. What ended without words is asked about once more, since a person
// wants it; what this backfill took up already is not.
import { z } from "zod";
import type { UntitledPage } from "./adapter.ts";
import { maxIdCharacters, sweepId } from "./delivery-store.ts";

/** A picture of the list, as the delivery that it may become. */
export interface Entry {
  readonly id: string;
  readonly asset: string;
  readonly version: string;
  /** As a sweep would name it. */
  readonly delivery: string;
}

/** Each picture once. */
export function toList(assets: UntitledPage["assets"], newId: () => string): Entry[] {
  const entries = assets.map(({ id, version }): Entry => ({
    id: `dlv_${newId()}`,
    asset: id.slice(0, maxIdCharacters),
    version: version.slice(0, maxIdCharacters),
    delivery: sweepId(id, version),
  }));
  return [...new Map(entries.map((entry) => [entry.delivery, entry])).values()];
}

/** Of the entries (?2, as JSON) those that the connection's (?1) inbox knows. Two joins, so that each has its index. */
export const knownEntries = `WITH page AS MATERIALIZED (
    SELECT key AS nth, value->>'asset' AS asset, value->>'version' AS version, value->>'delivery' AS delivery
    FROM json_each(?2))
  SELECT page.nth, one.id, one.state, one.backfill FROM page CROSS JOIN deliveries AS one
    WHERE one.connection_id = ?1 AND one.asset_id = page.asset AND one.version = page.version AND one.version <> ''
  UNION SELECT page.nth, one.id, one.state, one.backfill FROM page CROSS JOIN deliveries AS one
    WHERE one.connection_id = ?1 AND one.delivery_id = page.delivery AND one.asset_id = page.asset`;
export const knownSchema = z.array(
  z.object({ nth: z.number(), id: z.string(), state: z.string(), backfill: z.string().nullable() }),
);

const withoutWords = new Set(["skipped", "failed", "dead"]);

export interface Sorted {
  /** Entries that nobody knows. */
  readonly fresh: readonly Entry[];
  /** Ids of deliveries that are asked about once more. */
  readonly anew: readonly string[];
  /** How many entries were looked at before there was no more room. */
  readonly looked: number;
  readonly isFull: boolean;
}

export function sortPage(
  entries: readonly Entry[],
  known: z.output<typeof knownSchema>,
  backfill: string,
  room: number,
): Sorted {
  const rows = new Map(known.map((row) => [row.nth, row]));
  const fresh: Entry[] = [];
  const anew: string[] = [];
  let looked = 0;
  for (const [nth, entry] of entries.entries()) {
    if (fresh.length + anew.length >= room) break;
    looked += 1;
    const row = rows.get(nth);
    if (row === undefined) fresh.push(entry);
    else if (withoutWords.has(row.state) && row.backfill !== backfill) anew.push(row.id);
  }
  return { fresh, anew, looked, isFull: fresh.length + anew.length >= room };
}
