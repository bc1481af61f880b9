// Contentful's Management API and webhooks as its reference describes them (assets, versions, search parameters, request
// verification); never captured. A PUT takes what it is given for the whole asset.
import { createHmac, randomBytes } from "node:crypto";
import { z } from "zod";
import { countingVersions, type CmsAnswer, type FakeAsset, type FakeVendor } from "./fake-cms.ts";

const locale = "en-US";
const mediaType = "application/vnd.contentful.management.v1+json";
const cdn = "ctfassets.net";

/** What is kept of an asset beside the words and the bytes. */
interface Kept {
  /** Of others: a title, words in other languages, links to tags. */
  title: Readonly<Record<string, string>>;
  translated: Readonly<Record<string, string>>;
  metadata: object | undefined;
  /** Of publishing, which counts as a change too. */
  published: number;
  publishedVersion: number | undefined;
  publishedAlt: string | null;
  isArchived: boolean;
  isProcessed: boolean;
}
const keeping = new WeakMap<FakeAsset, Kept>();
const edits = countingVersions();

export function keptOf(asset: FakeAsset): Kept {
  const kept = keeping.get(asset) ?? {
    title: { [locale]: asset.name },
    translated: { "de-DE": "Ein Mensch schrieb das" },
    metadata: { tags: [{ sys: { type: "Link", linkType: "Tag", id: "season" } }] },
    ...{ published: 0, publishedVersion: undefined, publishedAlt: null },
    ...{ isArchived: false, isProcessed: true },
  };
  keeping.set(asset, kept);
  return kept;
}
const versionOf = (asset: FakeAsset): number => edits(asset) + keptOf(asset).published;

export function publish(asset: FakeAsset): void {
  const kept = keptOf(asset);
  kept.publishedVersion = versionOf(asset);
  kept.publishedAlt = asset.alt;
  kept.published += 1;
}

const hostOf = ({ mime }: FakeAsset): string =>
  `${mime.startsWith("image/") ? "images" : "assets"}.${cdn}`;

function rowOf(asset: FakeAsset) {
  const { title, translated, metadata, publishedVersion, isArchived, isProcessed } = keptOf(asset);
  const description = { ...translated, ...(asset.alt === null ? {} : { [locale]: asset.alt }) };
  return {
    ...(metadata === undefined ? {} : { metadata }),
    sys: {
      ...{ id: asset.id, type: "Asset", version: versionOf(asset) },
      ...(publishedVersion === undefined ? {} : { publishedVersion }),
      ...(isArchived ? { archivedVersion: 1 } : {}),
    },
    fields: {
      title,
      description,
      file: {
        [locale]: {
          ...{ fileName: asset.name, contentType: asset.mime },
          ...(isProcessed
            ? { url: `//${hostOf(asset)}/s1/${asset.id}/up${asset.uploads}/${asset.name}` }
            : { upload: "https://uploads.example/1" }),
          details: { size: asset.bytes.length },
        },
      },
    },
  };
}

const error = (status: number, id: string): CmsAnswer => ({
  status,
  headers: { "content-type": mediaType },
  body: { sys: { type: "Error", id }, message: id, requestId: "r" },
});

const putSchema = z.object({
  metadata: z.looseObject({}).optional(),
  fields: z.object({
    title: z.record(z.string(), z.string()).default({}),
    description: z.record(z.string(), z.string()).default({}),
    file: z.record(z.string(), z.looseObject({ fileName: z.string() })),
  }),
});

function replaced(asset: FakeAsset, body: string): void {
  const { fields, metadata } = putSchema.parse(JSON.parse(body));
  const { [locale]: alt = null, ...translated } = fields.description;
  Object.assign(keptOf(asset), { title: fields.title, translated, metadata });
  asset.alt = alt;
}

function list({ searchParams }: URL, assets: Map<string, FakeAsset>): CmsAnswer {
  const [skip = 0, limit = 0] = ["skip", "limit"].map((name) => Number(searchParams.get(name)));
  const all = [...assets.values()].filter(
    (asset) => asset.mime.startsWith("image/") && !keptOf(asset).isArchived,
  );
  const isAsked =
    searchParams.get("mimetype_group") === "image" &&
    searchParams.get("sys.archivedAt[exists]") === "false";
  if (!isAsked) return error(400, "InvalidQuery");
  const items = all.slice(skip, skip + limit).map(rowOf);
  return { status: 200, body: { sys: { type: "Array" }, total: all.length, skip, limit, items } };
}

export const fakeContentful: FakeVendor = {
  kind: "contentful",
  hasTags: false,
  captionField: null,
  proof: {
    headers: [
      ...["x-contentful-signature", "x-contentful-signed-headers", "x-contentful-timestamp"],
    ],
    ...{ windowMs: 300_000, coversBody: true },
  },
  checksRevision: true,
  canReplace: true,
  basePath: "/spaces/s1/environments/master",
  secretOf: (name) => name.padEnd(64, "0"),
  doing({ method, url: { pathname, hostname } }) {
    if (hostname.endsWith(cdn)) return "file";
    if (method === "PUT") return pathname.endsWith("/published") ? "other" : "write";
    return pathname.endsWith("/assets") ? "list" : "read";
  },
  idOf: (index) => `asset${index}`,

  answer({ method, url, headers, body }, assets, token) {
    const [, , id = ""] = url.pathname.split("/");
    if (url.hostname.endsWith(cdn)) {
      const asset = assets.get(id);
      if (asset === undefined || url.hostname !== hostOf(asset)) return { status: 404 };
      return { status: 200, headers: { "content-type": asset.mime }, body: asset.bytes };
    }
    if (headers["authorization"] !== `Bearer ${token}`) return error(401, "AccessTokenInvalid");
    const [, name, published] =
      /^\/spaces\/s1\/environments\/master\/assets(?:\/([^/]+))?(\/published)?$/.exec(
        url.pathname,
      ) ?? [];
    if (name === undefined) return list(url, assets);
    const asset = assets.get(name);
    if (asset === undefined) return error(404, "NotFound");
    if (method === "GET") return { status: 200, body: rowOf(asset) };
    if (headers["content-type"] !== mediaType) return error(415, "UnsupportedMediaType");
    if (headers["x-contentful-version"] !== String(versionOf(asset))) {
      return error(409, "VersionMismatch");
    }
    if (published === undefined) replaced(asset, body);
    else publish(asset);
    return { status: 200, body: rowOf(asset) };
  },

  hook(event, asset, secret, { path, nowMs } = { path: "/", nowMs: Date.now() }) {
    const action = { created: "save", replaced: "auto_save", edited: "save", deleted: "delete" };
    const row = rowOf(asset);
    const sys = event === "deleted" ? { ...row.sys, type: "DeletedAsset" } : row.sys;
    const body = JSON.stringify(event === "deleted" ? { sys } : { ...row, sys });
    const headers: Record<string, string> = {
      "content-type": mediaType,
      "x-contentful-crn": `crn:contentful:::content:spaces/s1/environments/master/assets/${asset.id}`,
      "x-contentful-idempotency-key": randomBytes(32).toString("hex"),
      "x-contentful-timestamp": String(nowMs),
      "x-contentful-topic": `ContentManagement.Asset.${action[event]}`,
      "x-contentful-webhook-name": "alt text",
    };
    const names = [...Object.keys(headers), "x-contentful-signed-headers"].toSorted();
    headers["x-contentful-signed-headers"] = names.join(",");
    const signed = names.map((name) => `${name}:${headers[name]}`).join(";");
    headers["x-contentful-signature"] = createHmac("sha256", secret)
      .update(`POST\n${path}\n${signed}\n${body}`)
      .digest("hex");
    return { headers, body };
  },
};
