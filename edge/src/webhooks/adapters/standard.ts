// Any site of one's own: signed as the Standard Webhooks specification has it, read and written through three
// routes that the site offers (docs/cms.md). The pattern for what no vendor's adapter is there for.
import { z } from "zod";
import type { Adapter, Asset, Cms, UntitledPage } from "../adapter.ts";
import { unexpected } from "../cms-fault.ts";
import { believeStandard, standardSecretRule, toldId } from "../standard-webhooks.ts";

const text = z.string().nullish();

const toldSchema = z.object({
  id: toldId,
  version: z.string().max(200).optional(),
  mime_type: z.string().optional(),
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

const authorised = ({ token }: Cms) => ({ authorization: `Bearer ${token}` });
const pathOf = (assetId: string): string => `/assets/${encodeURIComponent(assetId)}`;

export const standard: Adapter = {
  secret: standardSecretRule,
  targets: {
    alt: { preset: "alt", allowed: /^alt$/ },
    caption: { preset: null, allowed: /^caption$/ },
    tags: { preset: "tags", allowed: /^tags$/ },
  },

  verify: (hook, secrets, now) =>
    believeStandard(hook, secrets, now, toldSchema, ({ version }) => version),

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
