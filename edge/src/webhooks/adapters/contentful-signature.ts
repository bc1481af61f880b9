// Contentful's signature of a webhook: HMAC-SHA256 over method, path, the headers that it names and the raw body, as
// its own toolkit for apps computes it.
import { toHex } from "@blip2-edge/shared/hex";
import type { RawHook } from "../adapter.ts";
import { anySigns, beforeBody, hmac, refuseStale, unproven } from "../proofs.ts";

/** Contentful repeats twice, half a minute apart, and does not promise to sign anew; and clocks differ. */
const toleranceMs = 5 * 60_000;
const timeHeader = "x-contentful-timestamp";
const listHeader = "x-contentful-signed-headers";
const maxHeaders = 50;

/** Throws signature_invalid. */
export async function proveContentful(
  { url, headers, body }: RawHook,
  secrets: readonly string[],
  now: number,
): Promise<void> {
  const at = headers.get(timeHeader) ?? "";
  const given = headers.get("x-contentful-signature") ?? "";
  const listed = (headers.get(listHeader) ?? "").split(",").slice(0, maxHeaders);
  if (!/^\d{1,15}$/.test(at)) throw unproven("no time");
  // What is signed is the sender's choice. Without these two it could be old, or of anything.
  if (![timeHeader, listHeader].every((name) => listed.includes(name))) {
    throw unproven("a header that must be signed is not");
  }
  const names = [...new Set(listed)].filter((name) => isPresent(headers, name)).toSorted();
  const values = names.map((name) => {
    const value = name === listHeader ? names.join(",") : (headers.get(name) ?? "");
    return `${name}:${value.trim()}`;
  });
  const signed = beforeBody(`POST\n${pathOf(url)}\n${values.join(";")}\n`, body);
  const isProven = await anySigns(secrets, [given], async (secret) =>
    toHex(await hmac("SHA-256", secret, signed)),
  );
  if (!isProven) throw unproven("signature");
  refuseStale(Number(at), now, toleranceMs);
}

const isPresent = (headers: Headers, name: string): boolean =>
  /^[a-z0-9!#$%&'*+.^_`|~-]+$/.test(name) && headers.has(name);

/** The query is escaped as one text, and then once more with the path. */
function pathOf({ pathname, search }: URL): string {
  const [query = ""] = search.slice(1).split("?");
  return encodeURI(query === "" ? pathname : `${pathname}?${encodeURIComponent(query)}`);
}
