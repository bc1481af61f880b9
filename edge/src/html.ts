// What every page that the Worker writes needs: text that stays text, and the digest of a style or script by which
// the page's policy names it.

const escapes: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** For elements and for attributes in quotes. */
export const escape = (text: string): string =>
  text.replaceAll(/[&<>"']/g, (sign) => escapes[sign] ?? "");

/** A source of Content-Security-Policy: the digest of what stands between the tags. */
export async function sourceHash(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return `sha256-${btoa(String.fromCharCode(...new Uint8Array(digest)))}`;
}
