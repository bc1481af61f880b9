// Directus 11 and 12: a Flow on files.upload calls with a static header, since Directus signs nothing and calls
// once. It has no field for alt text (`description` is the usual one) and no check of a record's version.
// Replacing a file's bytes fires files.upload again under the same id: `uploaded_on` and the size tell it apart.
import { z } from "zod";
import type { Adapter, Asset, Cms, Notice, UntitledPage, Words } from "../adapter.ts";
import { unexpected } from "../cms-fault.ts";
import { holdsSecret, objectOf, secretHeader, secretRule, unproven } from "../proofs.ts";

const fileSchema = z.object({
  id: z.string().optional(),
  type: z.string().nullish(),
  uploaded_on: z.string().nullish(),
  filesize: z.union([z.number(), z.string()]).nullish(),
  filename_download: z.string().nullish(),
});
/** With the trigger as body, `payload` and `key`; with the item read before, the whole row as `file`. */
const hookSchema = z.object({
  event: z.string(),
  key: z.string().max(200).optional(),
  payload: fileSchema.optional(),
  file: fileSchema.optional(),
});
const rowSchema = z.looseObject({ ...fileSchema.shape, id: z.string() });
const oneSchema = z.object({ data: rowSchema });
const manySchema = z.object({ data: z.array(rowSchema) });
type File = z.output<typeof fileSchema>;
type Row = z.output<typeof rowSchema>;

const fieldName = /^[a-z_][a-z0-9_]{0,63}$/i;
const perPage = 100;
const facts = ["id", "type", "uploaded_on", "filesize", "filename_download"];

/** To the second, which every database keeps. */
function versionOf({ uploaded_on: at, filesize: bytes }: File): string | undefined {
  const ms = Date.parse(at ?? "");
  return Number.isNaN(ms) ? undefined : `${Math.floor(ms / 1000)}-${bytes ?? "?"}`;
}

const authorised = ({ token }: Cms) => ({ authorization: `Bearer ${token}` });
const query = (fields: Readonly<Record<string, string>>): string =>
  `?${new URLSearchParams(fields).toString()}`;

export const directus: Adapter = {
  secret: secretRule,
  targets: {
    alt: { preset: "description", allowed: fieldName },
    caption: { preset: null, allowed: fieldName },
    tags: { preset: "tags", allowed: fieldName },
  },

  async verify({ headers, body }, secrets) {
    if (!(await holdsSecret(headers.get(secretHeader), secrets))) throw unproven("header");
    const parsed = hookSchema.safeParse(objectOf(body));
    if (!parsed.success) return [{ event: "unknown", skip: "not_understood" }];
    return [noticeOf(parsed.data)];
  },

  async read(cms, assetId) {
    // Asked as a list: by its id, an unknown file and a missing permission are the same 403.
    const fields = [...facts, ...Object.values(cms.targets)].join(",");
    const filter = JSON.stringify({ id: { _eq: assetId } });
    const path = `/files${query({ filter, fields, limit: "1" })}`;
    const told = await cms.ask({ method: "GET", path, headers: authorised(cms) });
    const parsed = manySchema.safeParse(told.body);
    if (told.status !== 200 || !parsed.success) throw unexpected("file", told);
    const [row] = parsed.data.data;
    return row === undefined ? undefined : assetOf(cms, row);
  },

  async write(cms, asset, words) {
    const told = await cms.ask({
      method: "PATCH",
      path: `/files/${encodeURIComponent(asset.id)}`,
      headers: authorised(cms),
      json: fieldsOf(cms, words),
    });
    // An administrator's token gets this for an id that is unknown.
    if (told.status === 204 || told.status === 404) return "gone";
    const parsed = oneSchema.safeParse(told.body);
    if (told.status !== 200 || !parsed.success || parsed.data.data.id !== asset.id) {
      throw unexpected("write", told);
    }
    return "written";
  },

  async listUntitled(cms, cursor) {
    const { alt } = cms.targets;
    if (alt === undefined) return { assets: [], cursor: undefined };
    return list(cms, { _and: [isImage, { [alt]: { _empty: true } }] }, cursor);
  },
  listAll: (cms, cursor) => list(cms, isImage, cursor),
};

const isImage = { type: { _starts_with: "image/" } };

async function list(cms: Cms, where: object, cursor = "1"): Promise<UntitledPage> {
  const page = {
    ...{ filter: JSON.stringify(where), fields: facts.join(",") },
    ...{ limit: String(perPage), page: cursor, sort: "id" },
  };
  const path = `/files${query(page)}`;
  const told = await cms.ask({ method: "GET", path, headers: authorised(cms) });
  const parsed = manySchema.safeParse(told.body);
  if (told.status !== 200 || !parsed.success) throw unexpected("list", told);
  const rows = parsed.data.data;
  return {
    assets: rows.map((row) => ({ id: row.id, version: versionOf(row) ?? "" })),
    cursor: rows.length < perPage ? undefined : String(Number(cursor) + 1),
  };
}

function noticeOf({ event, key, payload, file }: z.output<typeof hookSchema>): Notice {
  const row = file ?? payload ?? {};
  const assetId = key ?? row.id;
  const version = versionOf(row);
  if (assetId === undefined) return { event, skip: "not_understood" };
  const about = { event, assetId, ...(version === undefined ? {} : { version }) };
  if (event !== "files.upload") return { ...about, skip: "unknown_event" };
  const isPicture = row.type === undefined || row.type === null || row.type.startsWith("image/");
  return isPicture ? about : { ...about, skip: "not_an_image" };
}

/** Tags as a list, always: Directus takes a text for them too, and then gives back a text. */
function fieldsOf({ targets }: Cms, { alt, caption, tags }: Words): Record<string, unknown> {
  return {
    ...(alt === undefined || targets.alt === undefined ? {} : { [targets.alt]: alt }),
    ...(caption === undefined || targets.caption === undefined
      ? {}
      : { [targets.caption]: caption }),
    ...(tags === undefined || targets.tags === undefined ? {} : { [targets.tags]: tags }),
  };
}

const textOf = (value: unknown): string | null => (typeof value === "string" ? value : null);
function tagsOf(value: unknown): readonly string[] | null {
  if (typeof value === "string") return value.split(",").map((tag) => tag.trim());
  return Array.isArray(value) ? value.filter((tag) => typeof tag === "string") : null;
}

function assetOf(cms: Cms, row: Row): Asset {
  const { alt, caption, tags } = cms.targets;
  return {
    id: row.id,
    version: versionOf(row) ?? "",
    ...(typeof row.type === "string" ? { mimeType: row.type } : {}),
    ...(typeof row.filename_download === "string" ? { fileName: row.filename_download } : {}),
    words: {
      ...(alt === undefined ? {} : { alt: textOf(row[alt]) }),
      ...(caption === undefined ? {} : { caption: textOf(row[caption]) }),
      ...(tags === undefined ? {} : { tags: tagsOf(row[tags]) }),
    },
    file: { url: `${cms.baseUrl}/assets/${encodeURIComponent(row.id)}`, headers: authorised(cms) },
  };
}
