// Strapi 5: its own webhooks on media.create and media.update, with a static header, since Strapi signs nothing
// and calls once. What we write comes back as media.update, with the same version, which is no new work.
// Strapi keeps no version of a file's bytes: name on disk, size and dimensions stand for it.
import { z } from "zod";
import type { Adapter, Asset, Cms, Notice, UntitledPage, Words } from "../adapter.ts";
import { unexpected } from "../cms-fault.ts";
import { holdsSecret, objectOf, secretHeader, secretRule, unproven } from "../proofs.ts";

const mediaSchema = z.object({
  id: z.int(),
  name: z.string().nullish(),
  hash: z.string(),
  ext: z.string().nullish(),
  mime: z.string().nullish(),
  /** Kilobytes, with two digits. */
  size: z.union([z.number(), z.string()]),
  width: z.number().nullish(),
  height: z.number().nullish(),
  url: z.string(),
  alternativeText: z.string().nullish(),
  caption: z.string().nullish(),
});
type Media = z.output<typeof mediaSchema>;
const hookSchema = z.object({ event: z.string(), media: mediaSchema.optional() });
const idSchema = z.string().regex(/^\d{1,15}$/);

const perPage = 100;
const versionOf = ({ hash, ext, size, width, height }: Media): string =>
  `${hash}${ext ?? ""}-${Number(size)}-${width ?? 0}x${height ?? 0}`;
const authorised = ({ token }: Cms) => ({ authorization: `Bearer ${token}` });

export const strapi: Adapter = {
  secret: secretRule,
  targets: {
    alt: { preset: "alternativeText", allowed: /^alternativeText$/ },
    caption: { preset: null, allowed: /^caption$/ },
  },

  async verify({ headers, body }, secrets) {
    if (!(await holdsSecret(headers.get(secretHeader), secrets))) throw unproven("header");
    const parsed = hookSchema.safeParse(objectOf(body));
    if (!parsed.success) return [{ event: "unknown", skip: "not_understood" }];
    return [noticeOf(parsed.data)];
  },

  async read(cms, assetId) {
    if (!idSchema.safeParse(assetId).success) return undefined;
    const path = `/api/upload/files/${assetId}`;
    const told = await cms.ask({ method: "GET", path, headers: authorised(cms) });
    if (told.status === 404) return undefined;
    const parsed = mediaSchema.safeParse(told.body);
    if (told.status !== 200 || !parsed.success) throw unexpected("file", told);
    return assetOf(cms, parsed.data);
  },

  async write(cms, asset, words) {
    const told = await cms.ask({
      method: "POST",
      path: `/api/upload?id=${asset.id}`,
      headers: authorised(cms),
      json: { fileInfo: fieldsOf(words) },
    });
    if (told.status === 404) return "gone";
    const parsed = mediaSchema.safeParse(told.body);
    if (told.status !== 200 || !parsed.success || String(parsed.data.id) !== asset.id) {
      throw unexpected("write", told);
    }
    return "written";
  },

  listUntitled: (cms, cursor) =>
    list(
      cms,
      {
        "filters[$or][0][alternativeText][$null]": "true",
        "filters[$or][1][alternativeText][$eq]": "",
      },
      cursor,
    ),
  listAll: (cms, cursor) => list(cms, {}, cursor),
};

async function list(
  cms: Cms,
  where: Readonly<Record<string, string>>,
  cursor = "0",
): Promise<UntitledPage> {
  const query = new URLSearchParams({
    "filters[mime][$startsWith]": "image/",
    ...where,
    ...{ sort: "id:asc", start: cursor, limit: String(perPage) },
  });
  const path = `/api/upload/files?${query.toString()}`;
  const told = await cms.ask({ method: "GET", path, headers: authorised(cms) });
  const parsed = z.array(mediaSchema).safeParse(told.body);
  if (told.status !== 200 || !parsed.success) throw unexpected("list", told);
  return {
    assets: parsed.data.map((media) => ({ id: String(media.id), version: versionOf(media) })),
    cursor: parsed.data.length < perPage ? undefined : String(Number(cursor) + perPage),
  };
}

function noticeOf({ event, media }: z.output<typeof hookSchema>): Notice {
  if (event !== "media.create" && event !== "media.update") return { event, skip: "unknown_event" };
  if (media === undefined) return { event, skip: "not_understood" };
  const about = { event, assetId: String(media.id), version: versionOf(media) };
  return media.mime?.startsWith("image/") === false ? { ...about, skip: "not_an_image" } : about;
}

/** Fields that are left out keep what they hold. */
const fieldsOf = ({ alt, caption }: Words): Record<string, string | null> => ({
  ...(alt === undefined ? {} : { alternativeText: alt }),
  ...(caption === undefined ? {} : { caption }),
});

const assetOf = (cms: Cms, media: Media): Asset => ({
  id: String(media.id),
  version: versionOf(media),
  ...(typeof media.mime === "string" ? { mimeType: media.mime } : {}),
  ...(typeof media.name === "string" ? { fileName: media.name } : {}),
  words: {
    ...(cms.targets.alt === undefined ? {} : { alt: media.alternativeText ?? null }),
    ...(cms.targets.caption === undefined ? {} : { caption: media.caption ?? null }),
  },
  // Relative where files lie on Strapi's own disk.
  file: { url: new URL(media.url, `${cms.baseUrl}/`).href, headers: authorised(cms) },
});
