// Sanity: GROQ-powered webhooks, signed with the time over the raw body; read by GROQ, written by a patch that names
// the revision it was made for. A file is its document's id: other bytes are another asset. The base URL names the
// dataset (`https://PROJECT.api.sanity.io/production`), this file the version of the API (docs/decisions/0176).
import { z } from "zod";
import type { Adapter, Asset, Cms, Notice, Told, UntitledPage, Words } from "../adapter.ts";
import { unexpected } from "../cms-fault.ts";
import {
  anySigns,
  beforeBody,
  hmac,
  objectOf,
  refuseStale,
  secretRule,
  toBase64,
  unproven,
} from "../proofs.ts";

const apiVersion = "v2025-02-19";
/** Sanity repeats for half an hour, and does not promise to sign anew. */
const toleranceMs = 35 * 60_000;
const signaturePattern = /^t=(\d{1,15})[, ]+v1=([A-Za-z0-9_-]{1,100})$/;
const imageType = "sanity.imageAsset";
const perPage = 100;

/** The document, or what the webhook's projection leaves of it. */
const hookSchema = z.object({
  _id: z.string().min(1).max(200),
  _type: z.string().nullish(),
  mimeType: z.string().nullish(),
});
const rowSchema = z.looseObject({
  _id: z.string(),
  _rev: z.string(),
  url: z.string(),
  mimeType: z.string().nullish(),
  originalFilename: z.string().nullish(),
});
const oneSchema = z.object({ result: rowSchema.nullable() });
const manySchema = z.object({ result: z.array(z.object({ _id: z.string() })) });
const mutatedSchema = z.object({ results: z.array(z.object({ id: z.string() })) });
type Row = z.output<typeof rowSchema>;

const fieldName = /^(?:altText|description)$/;
const toBase64Url = (bytes: Uint8Array): string =>
  toBase64(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
const authorised = ({ token }: Cms) => ({ authorization: `Bearer ${token}` });
const datasetOf = ({ baseUrl }: Cms): string => new URL(baseUrl).pathname.slice(1);

export const sanity: Adapter = {
  secret: secretRule,
  basePath: {
    pattern: /^\/~?[a-z0-9][a-z0-9_-]{0,63}$/,
    message: "must end in the name of the dataset: https://PROJECT.api.sanity.io/production",
  },
  targets: {
    alt: { preset: "altText", allowed: fieldName },
    caption: { preset: null, allowed: fieldName },
  },

  async verify({ headers, body }, secrets, now) {
    const header = (headers.get("sanity-webhook-signature") ?? "").trim();
    const [, at = "", given = ""] = signaturePattern.exec(header) ?? [];
    if (given === "") throw unproven("no signature");
    const signed = beforeBody(`${at}.`, body);
    const isProven = await anySigns(secrets, [given], async (secret) =>
      toBase64Url(await hmac("SHA-256", secret, signed)),
    );
    if (!isProven) throw unproven("signature");
    refuseStale(Number(at), now, toleranceMs);
    const deliveryId = headers.get("idempotency-key") ?? "";
    const parsed = hookSchema.safeParse(objectOf(body));
    return [
      {
        ...(deliveryId === "" ? {} : { deliveryId }),
        event: headers.get("sanity-operation") ?? "unknown",
        ...(parsed.success ? said(parsed.data, headers) : { skip: "not_understood" as const }),
      },
    ];
  },

  async read(cms, assetId) {
    const fields = ["_id", "_rev", "url", "mimeType", "originalFilename"];
    const wanted = [...fields, ...Object.values(cms.targets)].join(",");
    const query = `*[_type == "${imageType}" && _id == $id][0]{${wanted}}`;
    const told = await ask(cms, query, { id: assetId });
    const parsed = oneSchema.safeParse(told.body);
    if (told.status !== 200 || !parsed.success) throw unexpected("asset", told);
    const { result } = parsed.data;
    return result === null ? undefined : assetOf(cms, result);
  },

  async write(cms, asset, words) {
    const patch = { id: asset.id, ifRevisionID: asset.revision, ...changesOf(cms, words) };
    const told = await cms.ask({
      method: "POST",
      fromOrigin: true,
      headers: authorised(cms),
      path: `/${apiVersion}/data/mutate/${datasetOf(cms)}?returnIds=true&visibility=sync`,
      json: { mutations: [{ patch }] },
    });
    if (told.status === 404) return "gone";
    // Also what a document that is gone is answered: the next look tells them apart.
    if (told.status === 409) return "conflict";
    const parsed = mutatedSchema.safeParse(told.body);
    const isDone = parsed.success && parsed.data.results.some(({ id }) => id === asset.id);
    if (told.status !== 200 || !isDone) throw unexpected("write", told);
    return "written";
  },

  async listUntitled(cms, cursor) {
    const { alt } = cms.targets;
    if (alt === undefined) return { assets: [], cursor: undefined };
    return list(cms, ` && coalesce(${alt}, "") == ""`, cursor);
  },

  listAll: (cms, cursor) => list(cms, "", cursor),
};

async function list(cms: Cms, where: string, cursor = ""): Promise<UntitledPage> {
  const filter = `_type == "${imageType}" && _id > $after${where}`;
  const query = `*[${filter}] | order(_id asc) [0...${perPage}]{_id}`;
  const told = await ask(cms, query, { after: cursor });
  const parsed = manySchema.safeParse(told.body);
  if (told.status !== 200 || !parsed.success) throw unexpected("list", told);
  const ids = parsed.data.result.map(({ _id: id }) => id);
  return {
    assets: ids.map((id) => ({ id, version: id })),
    cursor: ids.length < perPage ? undefined : ids.at(-1),
  };
}

/** Of what is published: an asset's document has no draft of its own, and the copies of a release are not its. */
function ask(cms: Cms, query: string, params: Readonly<Record<string, string>>): Promise<Told> {
  const asked = new URLSearchParams({ query, perspective: "published" });
  for (const [name, value] of Object.entries(params)) asked.set(`$${name}`, JSON.stringify(value));
  return cms.ask({
    method: "GET",
    fromOrigin: true,
    headers: authorised(cms),
    path: `/${apiVersion}/data/query/${datasetOf(cms)}?${asked.toString()}`,
  });
}

function said(
  { _id: assetId, _type: type, mimeType }: z.output<typeof hookSchema>,
  headers: Headers,
): Omit<Notice, "event" | "deliveryId"> {
  const about = { assetId, version: assetId };
  if (type === "sanity.fileAsset") return { ...about, skip: "not_an_image" };
  const isOther = typeof type === "string" && type !== imageType;
  const isCopy = assetId.includes(".");
  if (isOther || isCopy || headers.get("sanity-operation") === "delete") {
    return { ...about, skip: "unknown_event" };
  }
  const isPicture = mimeType === undefined || mimeType === null || mimeType.startsWith("image/");
  return isPicture ? about : { ...about, skip: "not_an_image" };
}

/** Null: the field is taken away, as an editor's emptying does. */
function changesOf({ targets }: Cms, { alt, caption }: Words): Record<string, unknown> {
  const set: Record<string, string> = {};
  const unset: string[] = [];
  for (const [field, text] of [
    [targets.alt, alt],
    [targets.caption, caption],
  ] as const) {
    if (field === undefined || text === undefined) continue;
    if (text === null) unset.push(field);
    else set[field] = text;
  }
  return {
    ...(Object.keys(set).length === 0 ? {} : { set }),
    ...(unset.length === 0 ? {} : { unset }),
  };
}

const textOf = (value: unknown): string | null => (typeof value === "string" ? value : null);

function assetOf({ targets: { alt, caption } }: Cms, row: Row): Asset {
  return {
    ...{ id: row._id, version: row._id, revision: row._rev },
    ...(typeof row.mimeType === "string" ? { mimeType: row.mimeType } : {}),
    ...(typeof row.originalFilename === "string" ? { fileName: row.originalFilename } : {}),
    words: {
      ...(alt === undefined ? {} : { alt: textOf(row[alt]) }),
      ...(caption === undefined ? {} : { caption: textOf(row[caption]) }),
    },
    // On Sanity's CDN, which knows no token.
    file: { url: row.url },
  };
}
