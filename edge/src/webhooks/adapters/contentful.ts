// Contentful: webhooks whose whole request is signed; read and written through the Management API, under its version
// of the asset. It has no field for alt text (`description` is the usual one), each in its locale. What was
// public and unchanged is published again after our write, nothing else is (docs/decisions/0177).
import { z } from "zod";
import type { Adapter, Asset, Cms, Told, UntitledPage } from "../adapter.ts";
import { CmsFault, unexpected } from "../cms-fault.ts";
import { objectOf } from "../proofs.ts";
import { proveContentful } from "./contentful-signature.ts";

const mediaType = "application/vnd.contentful.management.v1+json";
const perPage = 200;
/** After which there may be a file to look at. */
const topics = ["create", "save", "auto_save", "publish", "unarchive"].map(
  (action) => `ContentManagement.Asset.${action}`,
);

const fileSchema = z.looseObject({
  /** Not there before Contentful has processed what was uploaded. */
  url: z.string().optional(),
  contentType: z.string().optional(),
  fileName: z.string().optional(),
  details: z.looseObject({ size: z.number().optional() }).optional(),
});
const assetSchema = z.looseObject({
  sys: z.looseObject({
    id: z.string().min(1).max(64),
    version: z.int().optional(),
    publishedVersion: z.int().optional(),
    archivedVersion: z.int().optional(),
  }),
  fields: z
    .looseObject({
      description: z.record(z.string(), z.string().nullable()).optional(),
      file: z.record(z.string(), fileSchema).optional(),
    })
    .default({}),
});
const listSchema = z.object({ items: z.array(assetSchema), total: z.int() });
type Raw = z.output<typeof assetSchema>;
type File = z.output<typeof fileSchema>;

const idPattern = /^(?!\.+$)[a-zA-Z0-9._-]{1,64}$/;
const authorised = ({ token }: Cms) => ({ authorization: `Bearer ${token}` });
const pathOf = (assetId: string): string => `/assets/${assetId}`;
/** `description.en-US`: en-US. */
const localeOf = ({ targets: { alt = "" } }: Cms): string => alt.slice(alt.indexOf(".") + 1);
/** Where a file is the same for every locale, it is in the default one alone. */
const fileOf = ({ fields: { file = {} } }: Raw, locale?: string): File | undefined =>
  (locale === undefined ? undefined : file[locale]) ?? Object.values(file)[0];

export const contentful: Adapter = {
  secret: {
    pattern: /^[0-9A-Za-z+/=_-]{64}$/,
    message: "must have exactly 64 characters, letters, digits and + / = _ -",
  },
  basePath: {
    pattern: /^\/spaces\/[A-Za-z0-9._-]{1,64}\/environments\/[A-Za-z0-9._-]{1,64}$/,
    message:
      "must name the space and the environment: https://api.contentful.com/spaces/SPACE/environments/master",
  },
  targets: {
    alt: {
      preset: "description.en-US",
      allowed: /^description\.[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8}){0,3}$/,
    },
  },

  async verify(hook, secrets, now) {
    await proveContentful(hook, secrets, now);
    const deliveryId = hook.headers.get("x-contentful-idempotency-key") ?? "";
    const event = hook.headers.get("x-contentful-topic") ?? "unknown";
    const parsed = assetSchema.safeParse(objectOf(hook.body));
    const about = {
      ...(deliveryId === "" ? {} : { deliveryId }),
      event: event.replace("ContentManagement.", ""),
      ...(parsed.success ? { assetId: parsed.data.sys.id } : {}),
    };
    if (!topics.includes(event)) return [{ ...about, skip: "unknown_event" }];
    if (!parsed.success) return [{ ...about, skip: "not_understood" }];
    const file = fileOf(parsed.data);
    if (file?.contentType?.startsWith("image/") !== true) {
      return [{ ...about, skip: "not_an_image" }];
    }
    const version = versionOf(file);
    return [version === undefined ? about : { ...about, version }];
  },

  async read(cms, assetId) {
    const raw = await current(cms, assetId);
    return raw === undefined ? undefined : assetOf(cms, raw);
  },

  async write(cms, asset, { alt }) {
    if (alt === undefined) return "written";
    // Whole, since what is left out of a PUT is gone.
    const before = await current(cms, asset.id);
    if (before === undefined) return "gone";
    if (revisionOf(before) !== asset.revision) return "conflict";
    const told = await put(cms, pathOf(asset.id), before, {
      fields: withAlt(before, localeOf(cms), alt),
      ...("metadata" in before ? { metadata: before["metadata"] } : {}),
    });
    if (told.status === 404) return "gone";
    if (told.status === 409) return "conflict";
    const saved = assetSchema.safeParse(told.body);
    if (told.status !== 200 || !saved.success || saved.data.sys.id !== asset.id) {
      throw unexpected("write", told);
    }
    const { version = 0, publishedVersion } = before.sys;
    if (publishedVersion === undefined) return "written";
    const isAsPublished = version === publishedVersion + 1;
    return isAsPublished && (await isPublished(cms, saved.data)) ? "written" : "saved";
  },

  async listUntitled(cms, cursor) {
    if (cms.targets.alt === undefined) return { assets: [], cursor: undefined };
    // An empty text cannot be asked for, nor one of a locale: all pictures are looked at.
    const locale = localeOf(cms);
    const isBare = ({ fields }: Raw) => (fields.description?.[locale] ?? "").trim() === "";
    return list(cms, isBare, cursor);
  },

  listAll: (cms, cursor) => list(cms, () => true, cursor),
};

async function list(
  cms: Cms,
  isWanted: (raw: Raw) => boolean,
  cursor = "0",
): Promise<UntitledPage> {
  const query = new URLSearchParams({
    mimetype_group: "image",
    "sys.archivedAt[exists]": "false",
    order: "sys.createdAt",
    skip: cursor,
    limit: String(perPage),
  });
  const path = `/assets?${query.toString()}`;
  const told = await cms.ask({ method: "GET", path, headers: authorised(cms) });
  const parsed = listSchema.safeParse(told.body);
  if (told.status !== 200 || !parsed.success) throw unexpected("list", told);
  const { items, total } = parsed.data;
  const next = Number(cursor) + items.length;
  return {
    assets: items.flatMap((raw) => {
      const version = versionOf(fileOf(raw, localeOf(cms)));
      return isWanted(raw) && version !== undefined ? [{ id: raw.sys.id, version }] : [];
    }),
    cursor: items.length === 0 || next >= total ? undefined : String(next),
  };
}

/** Undefined: there is none, or it is archived and nobody may change it. */
async function current(cms: Cms, assetId: string): Promise<Raw | undefined> {
  if (!idPattern.test(assetId)) return undefined;
  const path = pathOf(assetId);
  const told = await cms.ask({ method: "GET", path, headers: authorised(cms) });
  if (told.status === 404) return undefined;
  const parsed = assetSchema.safeParse(told.body);
  const isVersioned = parsed.success && parsed.data.sys.version !== undefined;
  if (told.status !== 200 || !isVersioned) throw unexpected("asset", told);
  return parsed.data.sys.archivedVersion === undefined ? parsed.data : undefined;
}

const put = (cms: Cms, path: string, at: Raw, json: unknown): Promise<Told> =>
  cms.ask({
    method: "PUT",
    path,
    headers: {
      ...authorised(cms),
      ...{ "content-type": mediaType, "x-contentful-version": revisionOf(at) },
    },
    json,
  });

/** Only in the version that we saved. Whatever stands in the way, the words are saved. */
async function isPublished(cms: Cms, saved: Raw): Promise<boolean> {
  try {
    const told = await put(cms, `${pathOf(saved.sys.id)}/published`, saved, undefined);
    return told.status === 200;
  } catch (error) {
    if (error instanceof CmsFault) return false;
    throw error;
  }
}

const revisionOf = ({ sys: { version } }: Raw): string => String(version);

/** The upload in its URL, `//images.ctfassets.net/SPACE/ASSET/UPLOAD/name.png`, is another for other bytes. */
function versionOf(file: File | undefined): string | undefined {
  if (file?.url === undefined) return undefined;
  const upload = /^(?:https?:)?\/\/(?:[^/]+\/){3}([^/]+)\//.exec(file.url)?.[1];
  return `${upload ?? file.url.slice(-150)}-${file.details?.size ?? "?"}`;
}

function withAlt({ fields }: Raw, locale: string, alt: string | null): Raw["fields"] {
  const { [locale]: _, ...others } = fields.description ?? {};
  return { ...fields, description: alt === null ? others : { ...others, [locale]: alt } };
}

function assetOf(cms: Cms, raw: Raw): Asset | undefined {
  const locale = localeOf(cms);
  const file = fileOf(raw, locale);
  if (file === undefined) return undefined;
  const version = versionOf(file);
  if (version === undefined) throw new CmsFault("cms_not_ready");
  return {
    ...{ id: raw.sys.id, version, revision: revisionOf(raw) },
    ...(file.contentType === undefined ? {} : { mimeType: file.contentType }),
    ...(file.fileName === undefined ? {} : { fileName: file.fileName }),
    words: cms.targets.alt === undefined ? {} : { alt: raw.fields.description?.[locale] ?? null },
    // Without a scheme, on Contentful's CDN, which knows no token.
    file: { url: new URL(file.url ?? "", cms.baseUrl).href },
  };
}
