// Shopify as its GraphQL Admin API reference (2026-10: node, files, fileUpdate) and its webhook reference have it: what
// is refused comes with status 200, files are on another host, and a picture is told of as a medium of its product.
import { createHmac, randomUUID } from "node:crypto";
import {
  filesAt,
  type CmsAnswer,
  type CmsRequest,
  type FakeAsset,
  type FakeVendor,
} from "./fake-cms.ts";

interface Query {
  readonly query: string;
  readonly variables: {
    readonly id?: string;
    readonly after?: string | null;
    readonly alt?: string;
  };
}
const queryOf = ({ body }: Pick<CmsRequest, "body">): Query => JSON.parse(body) as Query;
const base = "/admin/api/2026-10";
const host = "cdn.shopify.com";
const perPage = 100;
const isImage = ({ mime }: FakeAsset): boolean => mime.startsWith("image/");
const isBlank = (text: string | null): boolean => (text ?? "") === "";

const urlOf = (asset: FakeAsset, files = `https://${host}`): string =>
  `${files}/s/files/1/0001/0002/files/${asset.id.split("/").at(-1)}.png?v=${1_795_418_160 + asset.uploads}`;

const nodeOf = (asset: FakeAsset, files: string) =>
  isImage(asset)
    ? {
        ...{ __typename: "MediaImage", id: asset.id, alt: asset.alt ?? "", fileStatus: "READY" },
        ...{ mimeType: asset.mime, image: { url: urlOf(asset, files) } },
      }
    : { __typename: "Video" };
const data = (body: object): CmsAnswer => ({ status: 200, body: { data: body } });

export const fakeShopify: FakeVendor = {
  kind: "shopify",
  hasTags: false,
  captionField: null,
  proof: { headers: ["x-shopify-hmac-sha256"], windowMs: null, coversBody: true },
  checksRevision: false,
  canReplace: true,
  basePath: base,
  secretOf: (name) => `shpss_${Buffer.from(name.padEnd(16, "-")).toString("hex")}`,
  doing(request) {
    if (!request.url.pathname.startsWith(base)) return "file";
    const { query } = queryOf(request);
    if (query.includes("fileUpdate(")) return "write";
    return query.includes("files(first:") ? "list" : "read";
  },
  writtenId: (request) => queryOf(request).variables.id ?? "",
  idOf: (index, mime) =>
    `gid://shopify/${mime.startsWith("image/") ? "MediaImage" : "Video"}/${38_000_000_000 + index}`,

  answer(request, assets, token) {
    const { url, headers } = request;
    const all = [...assets.values()];
    const files = filesAt(url, host);
    if (!url.pathname.startsWith(base)) {
      const asset = all.find((each) => urlOf(each, files) === url.href);
      if (asset === undefined) return { status: 404 };
      return { status: 200, headers: { "content-type": asset.mime }, body: asset.bytes };
    }
    if (headers["x-shopify-access-token"] !== token) {
      const errors = "[API] Invalid API key or access token (unrecognized login or wrong password)";
      return { status: 401, body: { errors } };
    }
    if (url.pathname !== `${base}/graphql.json`) return { status: 404 };
    const { query, variables } = queryOf(request);
    if (query.includes("files(first:")) {
      const images = all.filter(isImage);
      const from = Number(variables.after ?? 0);
      const nodes = images.slice(from, from + perPage).map((each) => nodeOf(each, files));
      const hasNextPage = from + perPage < images.length;
      const endCursor = nodes.length === 0 ? null : String(from + nodes.length);
      return data({ files: { nodes, pageInfo: { hasNextPage, endCursor } } });
    }
    const asset = assets.get(variables.id ?? "");
    if (!query.includes("fileUpdate(")) {
      return data({ node: asset === undefined ? null : nodeOf(asset, files) });
    }
    if (asset === undefined) {
      const message = `File id ${variables.id} does not exist.`;
      const error = { code: "FILE_DOES_NOT_EXIST", field: ["files", "0", "id"], message };
      return data({ fileUpdate: { files: [], userErrors: [error] } });
    }
    asset.alt = variables.alt || null;
    const written = [{ id: asset.id, alt: variables.alt }];
    return data({ fileUpdate: { files: written, userErrors: [] } });
  },

  hook(event, asset, secret, sent) {
    const at = new Date(sent?.nowMs ?? Date.now()).toISOString();
    const topic = { created: "products/create", deleted: "products/delete" };
    const isGone = event === "deleted";
    const body = JSON.stringify(isGone ? { id: 788_032_119 } : productWith(asset));
    return {
      headers: {
        ...{ "content-type": "application/json", "x-shopify-shop-domain": "demo.myshopify.com" },
        ...{ "x-shopify-api-version": "2026-10", "x-shopify-webhook-id": randomUUID() },
        ...{ "x-shopify-triggered-at": at },
        "x-shopify-topic": event === "created" || isGone ? topic[event] : "products/update",
        // As Shopify's page on verifying deliveries has it.
        "x-shopify-hmac-sha256": createHmac("sha256", secret).update(body).digest("base64"),
      },
      body,
    };
  },
};

function productWith(asset: FakeAsset) {
  const medium = {
    ...{ id: Number(asset.id.split("/").at(-1)), product_id: 788_032_119, position: 1 },
    ...{ created_at: "2026-11-23T07:16:00-05:00", updated_at: "2026-11-23T07:16:00-05:00" },
    ...{ alt: isBlank(asset.alt) ? null : asset.alt, status: "READY" },
    media_content_type: isImage(asset) ? "IMAGE" : "VIDEO",
    preview_image: { width: 64, height: 64, src: urlOf(asset), status: "READY" },
    ...{ variant_ids: [], admin_graphql_api_id: asset.id },
  };
  return {
    ...{
      id: 788_032_119,
      title: "A lamp",
      admin_graphql_api_id: "gid://shopify/Product/788032119",
    },
    ...{ images: [], media: [medium] },
  };
}
