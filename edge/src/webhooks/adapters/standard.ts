// Any site of one's own: signed as the Standard Webhooks specification has it, read and written through three
// routes that the site offers (docs/cms.md). The pattern for what no vendor's adapter is there for.
import { z } from "zod";
import type { Adapter, Asset, Cms, Notice, UntitledPage } from "../adapter.ts";
import { unexpected } from "../cms-fault.ts";
import { anySigns, hmac, objectOf, refuseStale, unproven } from "../proofs.ts";

const toleranceMs = 5 * 60_000;
const prefix = "whsec_";
const text = z.string().nullish();

const hookSchema = z.object({
  type: z.string(),
  data: z.object({
    id: z.union([z.string().min(1).max(200), z.int()]).transform(String),
    version: z.string().max(200).optional(),
    mime_type: z.string().optional(),
  }),
});
const assetSchema = z.object({
  id: z.union([z.string(), z.int()]).transform(String),
  version: z.string().min(1).max(200),
  revision: z.string().max(200).optional(),
  url: z.string(),
  mime_type: z.string().optional(),
  name: z.string().optional(),
  alt: text,
  caption: text,
  tags: z.array(z.string()).nullish(),
});
const listSchema = z.object({
  assets: z.array(z.object({ id: assetSchema.shape.id, version: assetSchema.shape.version })),
  cursor: z.string().nullish(),
});

const secretBytes = (secret: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(secret.slice(prefix.length)), (character) => character.charCodeAt(0));
const toBase64 = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes));

const authorised = ({ token }: Cms) => ({ authorization: `Bearer ${token}` });
const pathOf = (assetId: string): string => `/assets/${encodeURIComponent(assetId)}`;

export const standard: Adapter = {
  secret: {
    pattern: /^whsec_(?:[A-Za-z0-9+/]{4}){8,21}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/,
    message: "must be whsec_ and 24 to 64 bytes in base64",
  },
  targets: {
    alt: { preset: "alt", allowed: /^alt$/ },
    caption: { preset: null, allowed: /^caption$/ },
    tags: { preset: "tags", allowed: /^tags$/ },
  },

  async verify({ headers, body }, secrets, now) {
    const id = headers.get("webhook-id");
    const at = headers.get("webhook-timestamp") ?? "";
    const given = (headers.get("webhook-signature") ?? "").split(" ").slice(0, 10);
    if (id === null || id === "" || id.length > 200) throw unproven("no webhook-id");
    if (!/^\d{1,12}$/.test(at)) throw unproven("no webhook-timestamp");
    const head = new TextEncoder().encode(`${id}.${at}.`);
    const signed = new Uint8Array(head.length + body.length);
    signed.set(head);
    signed.set(body, head.length);
    const proven = await anySigns(
      secrets,
      given,
      async (secret) => `v1,${toBase64(await hmac("SHA-256", secretBytes(secret), signed))}`,
    );
    if (!proven) throw unproven("signature");
    refuseStale(Number(at) * 1000, now, toleranceMs);
    const parsed = hookSchema.safeParse(objectOf(body));
    const notice = { deliveryId: id, event: parsed.data?.type ?? "unknown" };
    return [
      parsed.success ? { ...notice, ...said(parsed.data) } : { ...notice, skip: "not_understood" },
    ];
  },

  async read(cms, assetId) {
    const told = await cms.ask({ method: "GET", path: pathOf(assetId), headers: authorised(cms) });
    if (told.status === 404 || told.status === 410) return undefined;
    const parsed = assetSchema.safeParse(told.body);
    if (told.status !== 200 || !parsed.success) throw unexpected("asset", told);
    return assetOf(cms, parsed.data);
  },

  async write(cms, asset, words) {
    const told = await cms.ask({
      method: "PATCH",
      path: pathOf(asset.id),
      headers: {
        ...authorised(cms),
        ...(asset.revision === undefined ? {} : { "if-match": asset.revision }),
      },
      json: words,
    });
    if (told.status === 404 || told.status === 410) return "gone";
    if (told.status === 409 || told.status === 412) return "conflict";
    const parsed = assetSchema.safeParse(told.body);
    if (told.status !== 200 || !parsed.success || parsed.data.id !== asset.id) {
      throw unexpected("write", told);
    }
    return "written";
  },

  listUntitled: (cms, cursor) => list(cms, { without: "alt" }, cursor),
  listAll: (cms, cursor) => list(cms, {}, cursor),
};

async function list(
  cms: Cms,
  where: Readonly<Record<string, string>>,
  cursor: string | undefined,
): Promise<UntitledPage> {
  const query = new URLSearchParams({ ...where, ...(cursor === undefined ? {} : { cursor }) });
  const path = query.size === 0 ? "/assets" : `/assets?${query.toString()}`;
  const told = await cms.ask({ method: "GET", path, headers: authorised(cms) });
  const parsed = listSchema.safeParse(told.body);
  if (told.status !== 200 || !parsed.success) throw unexpected("list", told);
  return { assets: parsed.data.assets, cursor: parsed.data.cursor ?? undefined };
}

function said({ type, data }: z.output<typeof hookSchema>): Omit<Notice, "event" | "deliveryId"> {
  const about = {
    assetId: data.id,
    ...(data.version === undefined ? {} : { version: data.version }),
  };
  if (type !== "asset.created" && type !== "asset.updated")
    return { ...about, skip: "unknown_event" };
  const isPicture = data.mime_type === undefined || data.mime_type.startsWith("image/");
  return isPicture ? about : { ...about, skip: "not_an_image" };
}

const assetOf = (cms: Cms, given: z.output<typeof assetSchema>): Asset => ({
  id: given.id,
  version: given.version,
  ...(given.revision === undefined ? {} : { revision: given.revision }),
  ...(given.mime_type === undefined ? {} : { mimeType: given.mime_type }),
  ...(given.name === undefined ? {} : { fileName: given.name }),
  words: {
    ...(cms.targets.alt === undefined ? {} : { alt: given.alt ?? null }),
    ...(cms.targets.caption === undefined ? {} : { caption: given.caption ?? null }),
    ...(cms.targets.tags === undefined ? {} : { tags: given.tags ?? null }),
  },
  file: { url: new URL(given.url, `${cms.baseUrl}/`).href, headers: authorised(cms) },
});
