// Cloudinary: notifications signed with the API secret, read through the Admin API, written through the Upload API,
// whose commands merge: `context` takes the keys that it names and leaves the others. No write is checked against a
// version. A file is known by its asset_id, which outlives renaming; `version`, in seconds, changes with its bytes.
import { toHex } from "@blip2-edge/shared/hex";
import { z } from "zod";
import type { Adapter, Asset, Cms, Notice, UntitledPage, Words } from "../adapter.ts";
import { unexpected } from "../cms-fault.ts";
import { anySigns, objectOf, refuseStale, secretRule, unproven } from "../proofs.ts";
import { ask, command } from "./cloudinary-api.ts";

/** As the vendor's own packages have it. It repeats for some 20 minutes. */
const toleranceMs = 2 * 3_600_000;
/** The account chooses; the length of the digits tells. */
const hashes: Readonly<Record<number, "SHA-1" | "SHA-256">> = { 40: "SHA-1", 64: "SHA-256" };

const factsSchema = z.object({
  asset_id: z.string().min(1).max(200),
  version: z.int(),
  bytes: z.int().optional(),
});
const hookSchema = z.object({
  notification_type: z.string(),
  resource_type: z.string().optional(),
});
const assetSchema = z.object({
  ...factsSchema.shape,
  public_id: z.string(),
  resource_type: z.string(),
  type: z.string(),
  format: z.string().optional(),
  secure_url: z.string(),
  tags: z.array(z.string()).optional(),
  context: z.object({ custom: z.record(z.string(), z.string()).optional() }).optional(),
});
const listSchema = z.object({ resources: z.array(assetSchema), next_cursor: z.string().nullish() });
type Facts = z.output<typeof factsSchema>;
type CldAsset = z.output<typeof assetSchema>;

const idSchema = z.string().regex(/^[0-9a-f]{16,64}$/);
const contextKey = /^[A-Za-z_][A-Za-z0-9_-]{0,63}$/;
const perPage = 100;

const versionOf = ({ version, bytes }: Facts): string => `${version}-${bytes ?? "?"}`;

export const cloudinary: Adapter = {
  secret: secretRule,
  basePath: { pattern: /^\/v1_1\/[\w-]{1,100}$/, message: "must end in /v1_1/CLOUD_NAME" },
  targets: {
    alt: { preset: "alt", allowed: contextKey },
    caption: { preset: null, allowed: contextKey },
    tags: { preset: "tags", allowed: /^tags$/ },
  },

  async verify({ headers, body }, secrets, now) {
    const at = headers.get("x-cld-timestamp") ?? "";
    if (!/^\d{1,12}$/.test(at)) throw unproven("no x-cld-timestamp");
    const given = headers.get("x-cld-signature") ?? "";
    const hash = hashes[given.length];
    if (hash === undefined) throw unproven("no x-cld-signature");
    const proven = await anySigns(secrets, [given], (secret) => digest(hash, body, at + secret));
    if (!proven) throw unproven("signature");
    refuseStale(Number(at) * 1000, now, toleranceMs);
    const said = objectOf(body);
    const parsed = hookSchema.safeParse(said);
    if (!parsed.success) return [{ event: "unknown", skip: "not_understood" }];
    return [noticeOf(parsed.data, factsSchema.safeParse(said).data)];
  },

  async read(cms, assetId) {
    if (!idSchema.safeParse(assetId).success) return undefined;
    const told = await ask(cms, { method: "GET", path: `/resources/${assetId}` });
    if (told.status === 404) return undefined;
    const parsed = assetSchema.safeParse(told.body);
    if (told.status !== 200 || !parsed.success) throw unexpected("resource", told);
    return assetOf(cms, parsed.data);
  },

  async write(cms, asset, words) {
    const context = contextOf(cms, words);
    if (context !== "") {
      const written = await command(cms, asset, "context", { command: "add", context });
      if (written !== "written") return written;
    }
    const { tags } = words;
    if (tags === undefined) return "written";
    const isNone = tags === null || tags.length === 0;
    const fields = isNone ? { command: "remove_all" } : { command: "replace", tag: tags.join(",") };
    return command(cms, asset, "tags", fields);
  },

  async listUntitled(cms, cursor) {
    const { alt } = cms.targets;
    if (alt === undefined) return { assets: [], cursor: undefined };
    return list(cms, ({ context }) => (context?.custom?.[alt] ?? "").trim() === "", cursor);
  },
  listAll: (cms, cursor) => list(cms, () => true, cursor),
};

async function list(
  cms: Cms,
  isMeant: (asset: CldAsset) => boolean,
  cursor: string | undefined,
): Promise<UntitledPage> {
  const query = new URLSearchParams({ context: "true", max_results: String(perPage) });
  if (cursor !== undefined) query.set("next_cursor", cursor);
  const path = `/resources/image/upload?${query.toString()}`;
  const told = await ask(cms, { method: "GET", path });
  // A cursor does not hold for ever: the next round begins anew.
  if (told.status === 400 && cursor !== undefined) return { assets: [], cursor: undefined };
  const parsed = listSchema.safeParse(told.body);
  if (told.status !== 200 || !parsed.success) throw unexpected("list", told);
  const { resources, next_cursor: next } = parsed.data;
  const meant = resources.filter(isMeant);
  return {
    assets: meant.map((asset) => ({ id: asset.asset_id, version: versionOf(asset) })),
    cursor: next ?? undefined,
  };
}

/** A plain digest, no HMAC: the secret is the end of what is digested. */
async function digest(
  hash: "SHA-1" | "SHA-256",
  body: Uint8Array<ArrayBuffer>,
  end: string,
): Promise<string> {
  const tail = new TextEncoder().encode(end);
  const whole = new Uint8Array(body.length + tail.length);
  whole.set(body);
  whole.set(tail, body.length);
  return toHex(new Uint8Array(await crypto.subtle.digest(hash, whole)));
}

function noticeOf(
  { notification_type: event, resource_type: kind }: z.output<typeof hookSchema>,
  facts: Facts | undefined,
): Notice {
  if (event !== "upload") return { event, skip: "unknown_event" };
  if (facts === undefined) return { event, skip: "not_understood" };
  const about = { event, assetId: facts.asset_id, version: versionOf(facts) };
  return kind === undefined || kind === "image" ? about : { ...about, skip: "not_an_image" };
}

/** A value that is empty takes its key away. */
function contextOf({ targets }: Cms, { alt, caption }: Words): string {
  const pairs: string[] = [];
  const add = (key: string | undefined, value: string | null | undefined): void => {
    if (key === undefined || value === undefined) return;
    pairs.push(`${key}=${(value ?? "").replaceAll(/[\\=|]/g, String.raw`\$&`)}`);
  };
  add(targets.alt, alt);
  add(targets.caption, caption);
  return pairs.join("|");
}

/** Documents are images there, in a page of which pictures can be made. */
const documents = new Set(["pdf", "ai", "eps", "ps", "psd", "indd"]);
function mimeTypeOf({ resource_type: kind, format = "" }: CldAsset): string {
  if (kind !== "image") return `${kind}/${format}`;
  if (documents.has(format)) return `application/${format}`;
  return `image/${format === "jpg" ? "jpeg" : format}`;
}

function assetOf(cms: Cms, asset: CldAsset): Asset {
  const { alt, caption, tags } = cms.targets;
  const custom = asset.context?.custom ?? {};
  const name = asset.public_id.split("/").at(-1) ?? "";
  return {
    id: asset.asset_id,
    version: versionOf(asset),
    writeName: `${asset.type}/${asset.public_id}`,
    mimeType: mimeTypeOf(asset),
    fileName: asset.format === undefined ? name : `${name}.${asset.format}`,
    words: {
      ...(alt === undefined ? {} : { alt: custom[alt] ?? null }),
      ...(caption === undefined ? {} : { caption: custom[caption] ?? null }),
      ...(tags === undefined ? {} : { tags: asset.tags ?? null }),
    },
    file: { url: asset.secure_url },
  };
}
