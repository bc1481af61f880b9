// What adapters prove a webhook with: digests over its raw body, secrets in headers, and how old it is. Every
// comparison takes the same time whatever differs, and every secret is tried whatever the first said.
import { equalTexts } from "@blip2-edge/shared/equal-texts";
import { sha256Hex } from "@blip2-edge/shared/hex";
import { AppError } from "@blip2-edge/shared/problem";

const encoder = new TextEncoder();

/** Of senders that sign nothing and can send a header of ours. */
export const secretHeader = "x-webhook-secret";
export const secretRule = {
  pattern: /^[\x21-\x7e]{16,512}$/,
  message: "must have 16 to 512 visible ASCII characters",
} as const;

export const unproven = (internal: string): AppError =>
  new AppError(
    "signature_invalid",
    "The webhook could not be verified with the connection's secret. Compare it with the one in the CMS.",
    { internal },
  );

/** What many sign: something about the webhook, then its raw body. */
export function beforeBody(head: string, body: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const bytes = encoder.encode(head);
  const all = new Uint8Array(bytes.length + body.length);
  all.set(bytes);
  all.set(body, bytes.length);
  return all;
}

export const toBase64 = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes));

/** HMAC of a text or bytes. */
export async function hmac(
  hash: "SHA-256" | "SHA-1",
  key: string | Uint8Array<ArrayBuffer>,
  data: string | Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  const keyBytes = typeof key === "string" ? encoder.encode(key) : key;
  const imported = await crypto.subtle.importKey("raw", keyBytes, { name: "HMAC", hash }, false, [
    "sign",
  ]);
  const bytes = typeof data === "string" ? encoder.encode(data) : data;
  return new Uint8Array(await crypto.subtle.sign("HMAC", imported, bytes));
}

/** Whether a header holds one of the secrets. Digests are compared, so that not even a length is told. */
export async function holdsSecret(
  header: string | null,
  secrets: readonly string[],
): Promise<boolean> {
  const given = await sha256Hex(header ?? "");
  let found = false;
  for (const secret of secrets) found = equalTexts(given, await sha256Hex(secret)) || found;
  return found && header !== null;
}

/** Whether one of the secrets makes one of the signatures. */
export async function anySigns(
  secrets: readonly string[],
  given: readonly string[],
  sign: (secret: string) => Promise<string>,
): Promise<boolean> {
  let found = false;
  for (const secret of secrets) {
    const expected = await sign(secret);
    for (const signature of given) found = equalTexts(expected, signature) || found;
  }
  return found;
}

/** Throws signature_invalid for a time that is none, or further from now than `toleranceMs`. */
export function refuseStale(atMs: number, now: number, toleranceMs: number): void {
  if (!Number.isFinite(atMs)) throw unproven("no time");
  if (Math.abs(now - atMs) > toleranceMs) throw unproven(`stale by ${now - atMs} ms`);
}

/** The body as a JSON object; undefined where it is none. */
export function objectOf(body: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(
      new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(body),
    );
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : undefined;
  } catch {
    return undefined;
  }
}
