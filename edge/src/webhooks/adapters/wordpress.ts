// WordPress 6.0 or newer. Core calls nobody and checks no version: our plugin (infra/cms/wordpress/blip2-edge.php)
// calls, signed as Standard Webhooks has it, and refuses a write to what has changed since it was read. Without the
// plugin the sweep and the write work all the same; both ask core for what only the plugin understands, and core
// passes over it. Core has no tags of media. The token is `user:application password`.
import { z } from "zod";
import type { Adapter, Asset, Cms, Told, UntitledPage, Words } from "../adapter.ts";
import { basicAuthorised } from "../basic.ts";
import { unexpected } from "../cms-fault.ts";
import { fileFactsSchema, toldFileSchema, versionOfFile } from "../file-facts.ts";
import { believeStandard, standardSecretRule } from "../standard-webhooks.ts";

const textSchema = z.object({ raw: z.string() }).optional();
/** Of a file without metadata it is empty. */
const detailsSchema = fileFactsSchema.catch({});
const listedSchema = z.object({ id: z.int(), alt_text: z.string(), media_details: detailsSchema });
const mediaSchema = z.object({
  ...listedSchema.shape,
  status: z.string().optional(),
  mime_type: z.string().nullish(),
  source_url: z.string(),
  caption: textSchema,
  description: textSchema,
  /** The plugin's: of the words and the file. */
  blip2_edge_revision: z.string().optional(),
});
const writtenSchema = z.object({ id: z.int(), alt_text: z.string() });
const refusalSchema = z.object({ code: z.string() });
type Media = z.output<typeof mediaSchema>;

const idSchema = z.string().regex(/^\d{1,15}$/);
const perPage = 100;
const route = "/wp-json/wp/v2/media";
const namesOf = (schema: z.ZodObject): string => Object.keys(schema.shape).join(",");
const query = (fields: Readonly<Record<string, string>>): string =>
  `?${new URLSearchParams(fields).toString()}`;

/** Why core refuses, where it says so. A site without this API answers 404 too. */
const refusalOf = ({ body }: Told): string | undefined => refusalSchema.safeParse(body).data?.code;
const isGone = (told: Told): boolean =>
  told.status === 404 && refusalOf(told) === "rest_post_invalid_id";

export const wordpress: Adapter = {
  secret: standardSecretRule,
  targets: {
    alt: { preset: "alt_text", allowed: /^alt_text$/ },
    caption: { preset: null, allowed: /^(?:caption|description)$/ },
  },

  verify: (hook, secrets, now) =>
    believeStandard(hook, secrets, now, toldFileSchema, versionOfFile),

  async read(cms, assetId) {
    if (!idSchema.safeParse(assetId).success) return undefined;
    const told = await cms.ask({
      method: "GET",
      path: `${route}/${assetId}${query({ context: "edit", _fields: namesOf(mediaSchema) })}`,
      headers: basicAuthorised(cms),
    });
    if (isGone(told)) return undefined;
    const parsed = mediaSchema.safeParse(told.body);
    if (told.status !== 200 || !parsed.success) throw unexpected("media", told);
    return parsed.data.status === "trash" ? undefined : assetOf(cms, parsed.data);
  },

  async write(cms, asset, words) {
    const told = await cms.ask({
      method: "POST",
      path: `${route}/${asset.id}${query({ _fields: namesOf(writtenSchema) })}`,
      headers: basicAuthorised(cms),
      json: {
        ...fieldsOf(cms, words),
        ...(asset.revision === undefined ? {} : { blip2_edge_revision: asset.revision }),
      },
    });
    if (isGone(told)) return "gone";
    if (told.status === 412) return "conflict";
    const parsed = writtenSchema.safeParse(told.body);
    if (told.status !== 200 || !parsed.success || String(parsed.data.id) !== asset.id) {
      throw unexpected("write", told);
    }
    return "written";
  },

  // The plugin lists these alone; core all, so that those with alt text are left out here.
  async listUntitled(cms, cursor) {
    const { rows, next } = await list(cms, { blip2_edge_untitled: "1" }, cursor);
    return pageOf(
      rows.filter(({ alt_text: alt }) => alt.trim() === ""),
      next,
    );
  },

  async listAll(cms, cursor) {
    const { rows, next } = await list(cms, {}, cursor);
    return pageOf(rows, next);
  },
};

async function list(cms: Cms, where: Readonly<Record<string, string>>, cursor = "1") {
  const page = {
    ...{ context: "edit", media_type: "image", orderby: "id", order: "asc", ...where },
    ...{ per_page: String(perPage), page: cursor, _fields: namesOf(listedSchema) },
  };
  const path = `${route}${query(page)}`;
  const told = await cms.ask({ method: "GET", path, headers: basicAuthorised(cms) });
  // The list has become shorter since its last page was asked for.
  if (refusalOf(told) === "rest_post_invalid_page_number") return { rows: [], next: undefined };
  const parsed = z.array(listedSchema).safeParse(told.body);
  if (told.status !== 200 || !parsed.success) throw unexpected("list", told);
  const next = parsed.data.length < perPage ? undefined : String(Number(cursor) + 1);
  return { rows: parsed.data, next };
}

const pageOf = (
  rows: readonly z.output<typeof listedSchema>[],
  cursor: string | undefined,
): UntitledPage => ({
  assets: rows.map((media) => ({
    id: String(media.id),
    version: versionOfFile(media.media_details),
  })),
  cursor,
});

/** Fields that are left out keep what they hold. */
const fieldsOf = ({ targets }: Cms, { alt, caption }: Words): Record<string, string> => ({
  ...(alt === undefined ? {} : { alt_text: alt ?? "" }),
  ...(caption === undefined || targets.caption === undefined
    ? {}
    : { [targets.caption]: caption ?? "" }),
});

function assetOf({ baseUrl, targets }: Cms, media: Media): Asset {
  const caption = targets.caption === "description" ? media.description : media.caption;
  const url = new URL(media.source_url, `${baseUrl}/`);
  return {
    id: String(media.id),
    version: versionOfFile(media.media_details),
    ...(media.blip2_edge_revision === undefined ? {} : { revision: media.blip2_edge_revision }),
    ...(typeof media.mime_type === "string" ? { mimeType: media.mime_type } : {}),
    fileName: url.pathname.split("/").at(-1) ?? "",
    words: {
      ...(targets.alt === undefined ? {} : { alt: media.alt_text }),
      ...(targets.caption === undefined || caption === undefined ? {} : { caption: caption.raw }),
    },
    // Uploads are public: the password is not sent for them.
    file: { url: url.href },
  };
}
