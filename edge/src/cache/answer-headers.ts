// What an answer says about itself: a strong ETag over its body, and where it came from (RFC 9211).
import { sha256Hex } from "@blip2-edge/shared/hex";

/**
 * `bypass`: what is drawn anew each time is neither looked for nor kept; `no-store`: nor is what a request
 * or its key wants to be kept nowhere. `collapsed`: the same was being computed, and this one waited for it.
 */
export type CacheOutcome = "hit" | "miss" | "partial" | "collapsed" | "bypass" | "no-store";

const statuses: Readonly<Record<CacheOutcome, string>> = {
  hit: "hit",
  miss: "fwd=miss; stored",
  partial: "fwd=partial; stored",
  collapsed: "fwd=miss; collapsed",
  bypass: "fwd=bypass; detail=unseeded-sample",
  "no-store": "fwd=bypass; detail=no-store",
};

/** `Cache-Status` (RFC 9211): the same words whichever tier or partition answered. */
export const cacheStatus = (outcome: CacheOutcome): string => `blip2-edge; ${statuses[outcome]}`;

/** Whether a caller's own cache may keep the answer. */
export const mayBeKept = (outcome: CacheOutcome): boolean =>
  outcome !== "bypass" && outcome !== "no-store";

/** Strong: equal tags mean equal bytes. Bodies hold no time, so a cached answer keeps its tag. */
export async function entityTag(body: string): Promise<string> {
  return `"${(await sha256Hex(body)).slice(0, 32)}"`;
}

/** If-None-Match (RFC 9110 13.1.2), by weak comparison: a list of tags or `*`. */
export function matchesEntityTag(header: string | undefined, tag: string): boolean {
  if (header === undefined) return false;
  if (header.trim() === "*") return true;
  return header.split(",").some((entry) => entry.trim().replace(/^W\//, "") === tag);
}
