// Content-Digest (RFC 9530) with sha-256: binds the body's bytes to the signed headers.
import { equalTexts } from "../equal-texts.ts";

export const digestHeader = "content-digest";

function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

/** The header's value over all of `body`, which is hashed in one call. */
export async function contentDigest(body: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", body);
  return `sha-256=:${toBase64(new Uint8Array(digest))}:`;
}

/** Whether the header is exactly the one digest we write; a list of several is not ours. */
export async function digestMatches(header: string, body: Uint8Array): Promise<boolean> {
  return equalTexts(await contentDigest(body), header);
}
