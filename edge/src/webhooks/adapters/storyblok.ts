// Storyblok: webhooks on assets (HMAC-SHA1 of the body, without a time or an id), read and written through the
// Management API, which checks no version. What it does with metadata that a write leaves out is nowhere promised, so a
// write looks once more and sends all of it. Address and length of a file stand for its bytes.
import { toHex } from "@blip2-edge/shared/hex";
import { z } from "zod";
import type { Adapter, Asset, Cms, Notice, UntitledPage, Words } from "../adapter.ts";
import { CmsFault, unexpected } from "../cms-fault.ts";
import { anySigns, hmac, objectOf, secretRule, unproven } from "../proofs.ts";

const hookSchema = z.object({
  action: z.string(),
  asset_id: z.union([z.int(), z.string()]).transform(String).optional(),
});
const assetSchema = z.looseObject({
  id: z.int(),
  filename: z.string().refine((text) => URL.canParse(text, "https://a.storyblok.com")),
  short_filename: z.string().nullish(),
  content_type: z.string().nullish(),
  content_length: z.union([z.int(), z.string()]).nullish(),
  deleted_at: z.string().nullish(),
  is_private: z.boolean().nullish(),
  meta_data: z.record(z.string(), z.unknown()).nullish(),
});
const oneSchema = z.union([
  z.object({ asset: assetSchema }).transform(({ asset }) => asset),
  assetSchema,
]);
const listSchema = z.object({ assets: z.array(assetSchema) });
type SbAsset = z.output<typeof assetSchema>;

const idSchema = z.string().regex(/^\d{1,20}$/);
const fieldName = /^[A-Za-z_][A-Za-z0-9_-]{0,63}$/;
/** Of these the asset has a field of its own besides. */
const ownFields = ["alt", "title", "source", "copyright"] as const;
const uploads = new Set(["created", "replaced", "restored"]);
const perPage = 100;

const authorised = ({ token }: Cms) => ({ authorization: token });
const pathOf = (id: string): string => `/assets/${id}`;

export const storyblok: Adapter = {
  secret: secretRule,
  basePath: { pattern: /^\/v1\/spaces\/\d{1,20}$/, message: "must end in /v1/spaces/SPACE_ID" },
  targets: {
    alt: { preset: "alt", allowed: fieldName },
    caption: { preset: null, allowed: fieldName },
  },

  async verify({ headers, body }, secrets) {
    const given = headers.get("webhook-signature") ?? "";
    const sign = async (secret: string) => toHex(await hmac("SHA-1", secret, body));
    if (!(await anySigns(secrets, [given], sign))) throw unproven("signature");
    const parsed = hookSchema.safeParse(objectOf(body));
    if (!parsed.success) return [{ event: "unknown", skip: "not_understood" }];
    return [noticeOf(parsed.data)];
  },

  async read(cms, assetId) {
    const found = await find(cms, assetId);
    if (found === undefined) return undefined;
    // Its file takes a token of another kind.
    if (found.is_private === true) throw new CmsFault("cms_file_private");
    return assetOf(cms, found);
  },

  async write(cms, asset, words) {
    const before = await find(cms, asset.id);
    if (before === undefined) return "gone";
    if (!isAsSeen(assetOf(cms, before), asset)) return "conflict";
    const told = await cms.ask({
      method: "PUT",
      path: pathOf(asset.id),
      headers: authorised(cms),
      json: { asset: { meta_data: { ...metadataOf(before), ...fieldsOf(cms, words) } } },
    });
    if (told.status === 404) return "gone";
    if (told.status !== 200 && told.status !== 204) throw unexpected("write", told);
    // Not every answer brings the asset: then it is read.
    const after = oneSchema.safeParse(told.body).data ?? (await find(cms, asset.id));
    if (after === undefined) return "gone";
    if (String(after.id) !== asset.id || !holds(after, fieldsOf(cms, words))) {
      throw unexpected("write", told);
    }
    return "written";
  },

  async listUntitled(cms, cursor) {
    const { alt } = cms.targets;
    if (alt === undefined) return { assets: [], cursor: undefined };
    return list(cms, (asset) => textOf(asset, alt) === null, cursor);
  },
  listAll: (cms, cursor) => list(cms, () => true, cursor),
};

async function list(
  cms: Cms,
  isMeant: (asset: SbAsset) => boolean,
  cursor = "1",
): Promise<UntitledPage> {
  const query = new URLSearchParams({
    ...{ page: cursor, per_page: String(perPage), sort_by: "created_at:asc" },
  });
  const path = `/assets?${query.toString()}`;
  const told = await cms.ask({ method: "GET", path, headers: authorised(cms) });
  const parsed = listSchema.safeParse(told.body);
  if (told.status !== 200 || !parsed.success) throw unexpected("list", told);
  const { assets } = parsed.data;
  const meant = assets.filter((asset) => isReadable(asset) && isPicture(asset) && isMeant(asset));
  return {
    assets: meant.map((asset) => ({ id: String(asset.id), version: versionOf(cms, asset) })),
    cursor: assets.length < perPage ? undefined : String(Number(cursor) + 1),
  };
}

function noticeOf({ action, asset_id: assetId }: z.output<typeof hookSchema>): Notice {
  if (assetId === undefined) return { event: action, skip: "unknown_event" };
  const event = `asset.${action}`;
  if (!uploads.has(action)) return { event, assetId, skip: "unknown_event" };
  // Two replacements of one file are told of in the same words, and nothing is told twice: each is a delivery of its
  // own. One that somebody repeats is a read, and no write.
  return { event, assetId, deliveryId: crypto.randomUUID() };
}

/** Undefined: it is not there, or in the bin. Throws CmsFault. */
async function find(cms: Cms, assetId: string): Promise<SbAsset | undefined> {
  if (!idSchema.safeParse(assetId).success) return undefined;
  const path = pathOf(assetId);
  const told = await cms.ask({ method: "GET", path, headers: authorised(cms) });
  if (told.status === 404) return undefined;
  const parsed = oneSchema.safeParse(told.body);
  if (told.status !== 200 || !parsed.success) throw unexpected("asset", told);
  return isDeleted(parsed.data) ? undefined : parsed.data;
}

const isReadable = (asset: SbAsset): boolean => !isDeleted(asset) && asset.is_private !== true;
const isDeleted = ({ deleted_at: at }: SbAsset): boolean => (at ?? "") !== "";
const isPicture = ({ content_type: type }: SbAsset): boolean =>
  type?.startsWith("image/") !== false;
const filled = (value: unknown): string | null =>
  typeof value === "string" && value.trim() !== "" ? value : null;

/** In the metadata, or in the asset's own field of that name. */
function textOf(asset: SbAsset, field: string): string | null {
  const own = ownFields.find((name) => name === field);
  return filled(asset.meta_data?.[field]) ?? (own === undefined ? null : filled(asset[own]));
}

/** All of it, with what only the asset's own fields hold. */
function metadataOf(asset: SbAsset): Record<string, unknown> {
  const own = ownFields.flatMap((name) => {
    const text = textOf(asset, name);
    return text === null ? [] : [[name, text] as const];
  });
  return { ...asset.meta_data, ...Object.fromEntries(own) };
}

function fieldsOf({ targets }: Cms, { alt, caption }: Words): Record<string, string> {
  return {
    ...(alt === undefined || targets.alt === undefined ? {} : { [targets.alt]: alt ?? "" }),
    ...(caption === undefined || targets.caption === undefined
      ? {}
      : { [targets.caption]: caption ?? "" }),
  };
}

const holds = (asset: SbAsset, fields: Readonly<Record<string, string>>): boolean =>
  Object.entries(fields).every(
    ([name, text]) => (textOf(asset, name) ?? "").trim() === text.trim(),
  );

const isAsSeen = (now: Asset, seen: Asset): boolean =>
  now.version === seen.version &&
  now.words.alt === seen.words.alt &&
  now.words.caption === seen.words.caption;

const urlOf = (cms: Cms, { filename }: SbAsset): URL => new URL(filename, `${cms.baseUrl}/`);

/** `/f/SPACE/WxH/DIGEST/name`: the name may be anything, what is before it is the upload's own. */
function versionOf(cms: Cms, asset: SbAsset): string {
  const upload = urlOf(cms, asset).pathname.split("/").slice(-3, -1).join("/");
  return `${upload}-${asset.content_length ?? "?"}`;
}

function assetOf(cms: Cms, asset: SbAsset): Asset {
  const { alt, caption } = cms.targets;
  const { content_type: type, short_filename: name } = asset;
  const { href } = urlOf(cms, asset);
  return {
    id: String(asset.id),
    version: versionOf(cms, asset),
    ...(typeof type === "string" ? { mimeType: type } : {}),
    fileName: name ?? href.split("/").at(-1) ?? "",
    words: {
      ...(alt === undefined ? {} : { alt: textOf(asset, alt) }),
      ...(caption === undefined ? {} : { caption: textOf(asset, caption) }),
    },
    file: { url: href },
  };
}
