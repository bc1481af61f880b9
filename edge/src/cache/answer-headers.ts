// What an answer says about itself: a strong ETag over its body, and where it came from (RFC 9211).
import { sha256Hex } from "@blip2-edge/shared/hex";

/** `bypass`: what is drawn anew each time is neither looked for nor kept. */
export type CacheOutcome = "hit" | "miss" | "partial" | "bypass";

/** `Cache-Status` (RFC 9211): the same words whichever tier or partition answered. */
export function cacheStatus(outcome: CacheOutcome): string {
  if (outcome === "hit") return "blip2-edge; hit";
  if (outcome === "bypass") return "blip2-edge; fwd=bypass; detail=unseeded-sample";
  return `blip2-edge; fwd=${outcome}; stored`;
}

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
