// Which rung of the ladder served an answer, for its header `Blip2-Served`: gathered while the request is
// served, by whoever looks a picture up, finds a result or asks a node.
import type { CacheOutcome } from "./answer-headers.ts";

/** How the picture behind a URL was known without reading it: its origin said "not modified", or was not asked. */
export type AddressUse = "fresh" | "revalidated" | "stale";

export interface ServedReport {
  address: AddressUse | undefined;
  /** Of the results; undefined as long as none is found or on its way. */
  results: CacheOutcome | undefined;
}
export const servedReport = (): ServedReport => ({ address: undefined, results: undefined });

/**
 * `live`: a node was asked. `shared`: the answer of a node that another request had asked. `cache`: neither;
 * then `revalidated` when the picture's origin confirmed it, `stale` when it is past its time and was not asked.
 */
export type Rung = "cache" | "revalidated" | "stale" | "shared" | "live";

export function rungOf({ address, results }: ServedReport): Rung | undefined {
  if (results === undefined) return undefined;
  if (results === "collapsed") return "shared";
  if (results !== "hit") return "live";
  return address === undefined || address === "fresh" ? "cache" : address;
}
