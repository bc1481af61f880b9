// Sanity as its HTTP reference (query and mutate of v2025-02-19) and its documentation of GROQ-powered webhooks describe
// it; never captured. Queries are evaluated by Sanity's own groq-js.
import { createHash, createHmac, randomUUID } from "node:crypto";
import { evaluate, parse } from "groq-js";
import { z } from "zod";
import { countingVersions, type CmsAnswer, type FakeAsset, type FakeVendor } from "./fake-cms.ts";

const versionOf = countingVersions();
const cdn = "https://cdn.sanity.io";
const urlOf = ({ id }: FakeAsset): string => {
  const [kind, hash, ...rest] = id.split("-");
  const folder = kind === "image" ? "images" : "files";
  return `${cdn}/${folder}/p1/production/${[hash, ...rest.slice(0, -1)].join("-")}.${rest.at(-1)}`;
};
const isImage = ({ mime }: FakeAsset): boolean => mime.startsWith("image/");

/** What an editor has never touched is not there. */
const documentOf = (asset: FakeAsset) => ({
  ...{ _id: asset.id, _type: isImage(asset) ? "sanity.imageAsset" : "sanity.fileAsset" },
  ...{ _rev: `rev${versionOf(asset)}`, _createdAt: "2026-11-23T07:16:03Z" },
  ...{ url: urlOf(asset), path: urlOf(asset).slice(cdn.length + 1), mimeType: asset.mime },
  ...{ originalFilename: asset.name, size: asset.bytes.length, sha1hash: asset.id.split("-")[1] },
  ...(asset.alt === null ? {} : { altText: asset.alt }),
  ...(asset.caption === null ? {} : { description: asset.caption }),
});

const mutationSchema = z.object({
  mutations: z.tuple([
    z.object({
      patch: z.strictObject({
        id: z.string(),
        ifRevisionID: z.string(),
        set: z.record(z.string(), z.string()).optional(),
        unset: z.array(z.string()).optional(),
      }),
    }),
  ]),
});

const failed = (type: string, more: object): CmsAnswer => ({
  status: 409,
  body: { error: { type: "mutationError", items: [{ index: 0, error: { type, ...more } }] } },
});

async function queried({ searchParams }: URL, assets: Map<string, FakeAsset>): Promise<CmsAnswer> {
  const params: Record<string, unknown> = {};
  for (const [name, value] of searchParams) {
    if (name.startsWith("$")) params[name.slice(1)] = JSON.parse(value);
  }
  const query = searchParams.get("query") ?? "";
  const dataset = Array.from(assets.values(), documentOf);
  if (searchParams.get("perspective") === "raw") dataset.push(...dataset.map(draftOf));
  const value = await evaluate(parse(query, { params }), { dataset, params });
  const result: unknown = await value.get();
  return { status: 200, body: { ms: 3, query, result } };
}
const draftOf = <Document extends { _id: string }>(document: Document): Document => ({
  ...document,
  _id: `drafts.${document._id}`,
});

function mutated(body: string, assets: Map<string, FakeAsset>): CmsAnswer {
  const [{ patch }] = mutationSchema.parse(JSON.parse(body)).mutations;
  const asset = assets.get(patch.id);
  if (asset === undefined) return failed("documentNotFoundError", { id: patch.id });
  const currentRevisionID = documentOf(asset)._rev;
  if (patch.ifRevisionID !== currentRevisionID) {
    return failed("documentRevisionIDDoesNotMatchError", { currentRevisionID });
  }
  const { set = {}, unset = [] } = patch;
  const next = (field: string, now: string | null): string | null =>
    set[field] ?? (unset.includes(field) ? null : now);
  asset.alt = next("altText", asset.alt);
  asset.caption = next("description", asset.caption);
  const results = [{ id: patch.id, operation: "update" }];
  return { status: 200, body: { transactionId: randomUUID(), results } };
}

export const fakeSanity: FakeVendor = {
  kind: "sanity",
  hasTags: false,
  captionField: "description",
  proof: {
    headers: ["sanity-webhook-signature"],
    ...{ windowMs: 35 * 60_000, coversBody: true },
  },
  checksRevision: true,
  canReplace: false,
  basePath: "/production",
  doing({ method, url }) {
    if (method === "POST") return "write";
    if (url.origin === cdn) return "file";
    return url.searchParams.has("$id") ? "read" : "list";
  },
  writtenId: ({ body }) => mutationSchema.parse(JSON.parse(body)).mutations[0].patch.id,
  idOf(index, mime) {
    const hash = createHash("sha1").update(String(index)).digest("hex");
    return mime.startsWith("image/") ? `image-${hash}-64x64-png` : `file-${hash}-txt`;
  },

  answer({ method, url, headers, body }, assets, token) {
    if (url.origin === cdn) {
      const asset = [...assets.values()].find((each) => urlOf(each) === url.href);
      if (asset === undefined) return { status: 404 };
      return { status: 200, headers: { "content-type": asset.mime }, body: asset.bytes };
    }
    if (headers["authorization"] !== `Bearer ${token}`) {
      const error = { error: "Unauthorized", message: "Session not found" };
      return { status: 401, body: { statusCode: 401, ...error, errorCode: "SIO-401-ANF" } };
    }
    const asked = `${method} ${url.pathname}`;
    if (asked === "GET /v2025-02-19/data/query/production") return queried(url, assets);
    if (asked === "POST /v2025-02-19/data/mutate/production") return mutated(body, assets);
    return { status: 404, body: { statusCode: 404, error: "Not Found" } };
  },

  hook(event, asset, secret, { nowMs } = { path: "/", nowMs: Date.now() }) {
    const operation = {
      created: "create",
      replaced: "update",
      edited: "update",
      deleted: "delete",
    };
    const { _id, _type, mimeType } = documentOf(asset);
    const body = JSON.stringify({ _id, _type, mimeType });
    const signature = createHmac("sha256", secret).update(`${nowMs}.${body}`).digest("base64url");
    return {
      headers: {
        "content-type": "application/json",
        "idempotency-key": randomUUID(),
        "sanity-operation": operation[event],
        ...{ "sanity-document-id": _id, "sanity-dataset": "production", "sanity-project-id": "p1" },
        "sanity-webhook-signature": `t=${nowMs},v1=${signature}`,
      },
      body,
    };
  },
};
