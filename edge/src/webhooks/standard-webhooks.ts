// The Standard Webhooks specification (standardwebhooks.com, 1.0): HMAC-SHA256 over id, time and raw body, five
// minutes old at most. Used by every adapter whose sender is ours to write: a site of one's own, and our hooks
// inside CMSs that sign nothing by themselves.
import { z } from "zod";
import type { Notice, RawHook } from "./adapter.ts";
import { anySigns, beforeBody, hmac, objectOf, refuseStale, toBase64, unproven } from "./proofs.ts";

const toleranceMs = 5 * 60_000;
const prefix = "whsec_";
const maxIdCharacters = 200;

export const standardSecretRule = {
  pattern: /^whsec_(?:[A-Za-z0-9+/]{4}){8,21}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/,
  message: "must be whsec_ and 24 to 64 bytes in base64",
} as const;

const secretBytes = (secret: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(secret.slice(prefix.length)), (character) => character.charCodeAt(0));

/** The id of the message. Throws signature_invalid. */
async function prove(
  { headers, body }: RawHook,
  secrets: readonly string[],
  now: number,
): Promise<string> {
  const id = headers.get("webhook-id");
  const at = headers.get("webhook-timestamp") ?? "";
  const given = (headers.get("webhook-signature") ?? "").split(" ").slice(0, 10);
  if (id === null || id === "" || id.length > maxIdCharacters) throw unproven("no webhook-id");
  if (!/^\d{1,12}$/.test(at)) throw unproven("no webhook-timestamp");
  const signed = beforeBody(`${id}.${at}.`, body);
  const proven = await anySigns(
    secrets,
    given,
    async (secret) => `v1,${toBase64(await hmac("SHA-256", secretBytes(secret), signed))}`,
  );
  if (!proven) throw unproven("signature");
  refuseStale(Number(at) * 1000, now, toleranceMs);
  return id;
}

interface Told {
  readonly id: string;
  readonly mime_type?: string | null | undefined;
}

export const toldId = z
  .union([z.string().min(1), z.int()])
  .transform(String)
  .pipe(z.string().max(maxIdCharacters));

/**
 * What a webhook says whose `type` is asset.created or asset.updated and whose `data` is of this form. Throws
 * signature_invalid. `versionOf`: of the asset's bytes; undefined where the sender does not tell.
 */
export async function believeStandard<Data extends Told>(
  hook: RawHook,
  secrets: readonly string[],
  now: number,
  data: z.ZodType<Data>,
  versionOf: (data: Data) => string | undefined,
): Promise<readonly Notice[]> {
  const deliveryId = await prove(hook, secrets, now);
  const parsed = z.object({ type: z.string(), data }).safeParse(objectOf(hook.body));
  if (!parsed.success) return [{ deliveryId, event: "unknown", skip: "not_understood" }];
  const { type: event, data: told } = parsed.data;
  const version = versionOf(told);
  const about = {
    ...{ deliveryId, event, assetId: told.id },
    ...(version === undefined ? {} : { version }),
  };
  if (event !== "asset.created" && event !== "asset.updated") {
    return [{ ...about, skip: "unknown_event" }];
  }
  const isPicture = told.mime_type?.startsWith("image/") !== false;
  return [isPicture ? about : { ...about, skip: "not_an_image" }];
}
