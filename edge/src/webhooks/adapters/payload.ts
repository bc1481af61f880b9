// Payload 3: the site's own afterChange hook (infra/cms/payload/notify-blip2-edge.ts) calls, signed as Standard
// Webhooks has it. `base_url` is that of a collection of uploads. Written is by a query of the id and of `updatedAt`,
// so that Payload itself passes over a document that has changed, and refuses one that an editor has open. Its
// fields are the site's own: one that holds anything but plain text is left alone.
import { z } from "zod";
import type { Adapter, Asset, Cms, UntitledPage, Words } from "../adapter.ts";
import { CmsFault, unexpected } from "../cms-fault.ts";
import { toldFileSchema, versionOfFile } from "../file-facts.ts";
import { believeStandard, standardSecretRule, toldId } from "../standard-webhooks.ts";

const documentSchema = z.looseObject({
  id: toldId,
  updatedAt: z.string(),
  filename: z.string().nullish(),
  mimeType: z.string().nullish(),
  filesize: z.number().nullish(),
  width: z.number().nullish(),
  height: z.number().nullish(),
  url: z.string().nullish(),
});
type Document = z.output<typeof documentSchema>;
const listSchema = z.object({ docs: z.array(documentSchema), hasNextPage: z.boolean() });
const updateSchema = z.object({
  docs: z.array(documentSchema),
  errors: z.array(z.object({ message: z.string().optional() })),
});
/** Of a document that is not there. An address without this API is answered differently. */
const goneSchema = z.object({ errors: z.array(z.unknown()).min(1) });

const fieldName = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;
const perPage = 100;

/** A key alone belongs to the collection `users`; of another one the token is `SLUG API-Key KEY`. */
const authorised = ({ token }: Cms) => ({
  authorization: / API-Key /.test(token) ? token : `users API-Key ${token}`,
});
const where = (terms: Readonly<Record<string, string>>): string =>
  `?${new URLSearchParams(terms).toString()}`;
const versionOf = ({ filename: file, filesize, width, height }: Document): string =>
  versionOfFile({ file, filesize, width, height });

export const payload: Adapter = {
  secret: standardSecretRule,
  targets: {
    alt: { preset: "alt", allowed: fieldName },
    caption: { preset: null, allowed: fieldName },
    tags: { preset: null, allowed: fieldName },
  },

  verify: (hook, secrets, now) =>
    believeStandard(hook, secrets, now, toldFileSchema, versionOfFile),

  async read(cms, assetId) {
    const path = `/${encodeURIComponent(assetId)}${where({ depth: "0" })}`;
    const told = await cms.ask({ method: "GET", path, headers: authorised(cms) });
    if (told.status === 404 && goneSchema.safeParse(told.body).success) return undefined;
    const parsed = documentSchema.safeParse(told.body);
    if (told.status !== 200 || !parsed.success) throw unexpected("document", told);
    return assetOf(cms, parsed.data);
  },

  async write(cms, asset, words) {
    const fields = fieldsOf(cms, words);
    const told = await cms.ask({
      method: "PATCH",
      path: where({
        depth: "0",
        "where[and][0][id][equals]": asset.id,
        ...(asset.revision === undefined
          ? {}
          : { "where[and][1][updatedAt][equals]": asset.revision }),
      }),
      headers: authorised(cms),
      json: fields,
    });
    const parsed = updateSchema.safeParse(told.body);
    if (!parsed.success) throw unexpected("write", told);
    const { docs, errors } = parsed.data;
    // An editor has it open, or the site's own rules refuse the text.
    if (errors.length > 0) {
      throw new CmsFault("cms_error", { internal: `write: ${errors[0]?.message ?? told.status}` });
    }
    const [written] = docs;
    if (told.status === 200 && written === undefined) return "conflict";
    const isThere = Object.keys(fields).every((name) => written !== undefined && name in written);
    if (told.status !== 200 || written?.id !== asset.id || !isThere)
      throw unexpected("write", told);
    return "written";
  },

  async listUntitled(cms, cursor) {
    const { alt } = cms.targets;
    if (alt === undefined) return { assets: [], cursor: undefined };
    const isEmpty = {
      [`where[and][1][or][0][${alt}][exists]`]: "false",
      [`where[and][1][or][1][${alt}][equals]`]: "",
    };
    return list(cms, isEmpty, cursor);
  },

  listAll: (cms, cursor) => list(cms, {}, cursor),
};

async function list(
  cms: Cms,
  terms: Readonly<Record<string, string>>,
  cursor = "1",
): Promise<UntitledPage> {
  const path = where({
    ...{ depth: "0", limit: String(perPage), page: cursor, sort: "createdAt" },
    ...{ "where[and][0][mimeType][contains]": "image/", ...terms },
  });
  const told = await cms.ask({ method: "GET", path, headers: authorised(cms) });
  const parsed = listSchema.safeParse(told.body);
  if (told.status !== 200 || !parsed.success) throw unexpected("list", told);
  return {
    assets: parsed.data.docs.map((row) => ({ id: row.id, version: versionOf(row) })),
    cursor: parsed.data.hasNextPage ? String(Number(cursor) + 1) : undefined,
  };
}

function fieldsOf({ targets }: Cms, { alt, caption, tags }: Words): Record<string, unknown> {
  return {
    ...(alt === undefined || targets.alt === undefined ? {} : { [targets.alt]: alt }),
    ...(caption === undefined || targets.caption === undefined
      ? {}
      : { [targets.caption]: caption }),
    ...(tags === undefined || targets.tags === undefined ? {} : { [targets.tags]: tags ?? [] }),
  };
}

/** A document store leaves out what is empty. Anything but text is nothing that we could write: undefined. */
function textOf(row: Document, name: string | undefined): string | null | undefined {
  const value = name === undefined ? undefined : (row[name] ?? null);
  return value === null || typeof value === "string" ? value : undefined;
}
function tagsOf(row: Document, name: string | undefined): readonly string[] | null | undefined {
  const value = name === undefined ? undefined : (row[name] ?? null);
  const isTexts = Array.isArray(value) && value.every((tag) => typeof tag === "string");
  return value === null || isTexts ? value : undefined;
}

function assetOf(cms: Cms, row: Document): Asset {
  const { targets, baseUrl } = cms;
  const [alt, caption] = [textOf(row, targets.alt), textOf(row, targets.caption)];
  const tags = tagsOf(row, targets.tags);
  const own = `${baseUrl}/file/${encodeURIComponent(row.filename ?? "")}`;
  return {
    id: row.id,
    version: versionOf(row),
    revision: row.updatedAt,
    ...(typeof row.mimeType === "string" ? { mimeType: row.mimeType } : {}),
    ...(typeof row.filename === "string" ? { fileName: row.filename } : {}),
    words: {
      ...(alt === undefined ? {} : { alt }),
      ...(caption === undefined ? {} : { caption }),
      ...(tags === undefined ? {} : { tags }),
    },
    file: { url: new URL(row.url ?? own, `${baseUrl}/`).href, headers: authorised(cms) },
  };
}
