// Shopify: its webhooks tell of products, never of files, so a product's media are read out of `products/create` and
// `products/update`, and what stands elsewhere is left to the sweep. Read and written through the GraphQL Admin API,
// whose refusals come with status 200 and which checks no version. `?v=` in a picture's address is its version.
import { z } from "zod";
import type { Adapter, Asset, Cms, Notice, UntitledPage } from "../adapter.ts";
import { CmsFault, unexpected } from "../cms-fault.ts";
import { anySigns, hmac, objectOf, secretRule, toBase64, unproven } from "../proofs.ts";
import { ask } from "./shopify-graphql.ts";

const text = z.string().nullish();
const productSchema = z.object({
  media: z.array(
    z.object({
      admin_graphql_api_id: z.string(),
      alt: text,
      preview_image: z.object({ src: text }).nullish().catch(undefined),
    }),
  ),
});
const picture = "MediaImage";
const mediaSchema = z.object({
  __typename: z.literal(picture),
  id: z.string(),
  alt: text,
  fileStatus: z.string(),
  mimeType: text,
  image: z.object({ url: z.url() }).nullish(),
});
const otherSchema = z.object({ __typename: z.string().refine((name) => name !== picture) });
/** Null: what is no picture. */
const nodeSchema = z.union([mediaSchema, otherSchema.transform(() => null)]).nullable();
const oneSchema = z.object({ node: nodeSchema });
const listSchema = z.object({
  files: z.object({
    nodes: z.array(nodeSchema),
    pageInfo: z.object({ hasNextPage: z.boolean(), endCursor: text }),
  }),
});
const writtenSchema = z.object({
  fileUpdate: z.object({
    files: z.array(z.object({ id: z.string(), alt: text })).nullish(),
    userErrors: z.array(z.object({ code: text })),
  }),
});
type Media = z.output<typeof mediaSchema>;

const pictureId = /^gid:\/\/shopify\/MediaImage\/\d{1,20}$/;
const topics = new Set(["products/create", "products/update"]);
const perPage = 100;
const notReadyS = 10;

const fields = `__typename ... on ${picture} { id alt fileStatus mimeType image { url } }`;
const readQuery = `query Picture($id: ID!) { node(id: $id) { ${fields} } }`;
const listQuery = `query Pictures($after: String) {
  files(first: ${perPage}, after: $after, query: "media_type:IMAGE", sortKey: ID) {
    nodes { ${fields} } pageInfo { hasNextPage endCursor } } }`;
const writeQuery = `mutation Describe($id: ID!, $alt: String!) {
  fileUpdate(files: [{ id: $id, alt: $alt }]) { files { id alt } userErrors { code } } }`;

export const shopify: Adapter = {
  secret: secretRule,
  basePath: {
    ...{ pattern: /^\/admin\/api\/(?:\d{4}-\d{2}|unstable)$/ },
    message: "must end in /admin/api/VERSION, such as 2026-10",
  },
  targets: { alt: { preset: "alt", allowed: /^alt$/ } },

  async verify({ headers, body }, secrets) {
    const given = headers.get("x-shopify-hmac-sha256") ?? "";
    const sign = async (secret: string) => toBase64(await hmac("SHA-256", secret, body));
    if (!(await anySigns(secrets, [given], sign))) throw unproven("signature");
    const event = headers.get("x-shopify-topic") ?? "unknown";
    const id = headers.get("x-shopify-webhook-id");
    const delivery = { event, ...(id === null ? {} : { deliveryId: id }) };
    if (!topics.has(event)) return [{ ...delivery, skip: "unknown_event" }];
    const parsed = productSchema.safeParse(objectOf(body));
    return parsed.success
      ? noticesOf(delivery, parsed.data)
      : [{ ...delivery, skip: "not_understood" }];
  },

  async read(cms, assetId) {
    if (!pictureId.test(assetId)) return undefined;
    const { node } = await ask(cms, readQuery, { id: assetId }, oneSchema);
    return node === null ? undefined : assetOf(cms, node);
  },

  async write(cms, asset, { alt }) {
    if (alt === undefined || cms.targets.alt === undefined) return "written";
    const wanted = alt ?? "";
    const { fileUpdate } = await ask(cms, writeQuery, { id: asset.id, alt: wanted }, writtenSchema);
    const [error] = fileUpdate.userErrors;
    if (error !== undefined) return refusedBy(error.code ?? "no code");
    const written = fileUpdate.files?.find(({ id }) => id === asset.id);
    const isThere = written !== undefined && (written.alt ?? "").trim() === wanted.trim();
    if (!isThere) throw unexpected("write", { status: 200 });
    return "written";
  },

  async listUntitled(cms, cursor) {
    if (cms.targets.alt === undefined) return { assets: [], cursor: undefined };
    return list(cms, ({ alt }) => isBlank(alt), cursor);
  },
  listAll: (cms, cursor) => list(cms, () => true, cursor),
};

async function list(
  cms: Cms,
  isMeant: (media: Media) => boolean,
  cursor: string | undefined,
): Promise<UntitledPage> {
  const { files } = await ask(cms, listQuery, { after: cursor ?? null }, listSchema);
  const { hasNextPage, endCursor } = files.pageInfo;
  return {
    assets: files.nodes.flatMap((media) =>
      media?.image && isMeant(media) ? [{ id: media.id, version: versionOf(media.image.url) }] : [],
    ),
    cursor: hasNextPage ? (endCursor ?? undefined) : undefined,
  };
}

const isBlank = (value: string | null | undefined): boolean => (value ?? "").trim() === "";

/** One for each picture, those without words first: of a long list the end is cut. */
function noticesOf(
  delivery: Pick<Notice, "event" | "deliveryId">,
  { media }: z.output<typeof productSchema>,
): readonly Notice[] {
  const inOrder = media.toSorted((a, b) => Number(!isBlank(a.alt)) - Number(!isBlank(b.alt)));
  return inOrder.map(({ admin_graphql_api_id: assetId, preview_image: preview }): Notice => {
    // Told of with every change of its product; one row of it is enough.
    if (!pictureId.test(assetId)) {
      return { ...delivery, deliveryId: assetId, assetId, skip: "not_an_image" };
    }
    const { src } = preview ?? {};
    const version = typeof src === "string" && URL.canParse(src) ? versionOf(src) : undefined;
    return { ...delivery, assetId, ...(version === undefined ? {} : { version }) };
  });
}

function refusedBy(code: string): "gone" {
  if (code === "FILE_DOES_NOT_EXIST") return "gone";
  const internal = `fileUpdate: ${code}`;
  if (code === "NON_READY_STATE" || code === "FILE_LOCKED") {
    throw new CmsFault("cms_not_ready", { internal, retryAfterS: notReadyS });
  }
  throw new CmsFault("cms_unexpected", { internal });
}

const nameOf = (url: string): string => new URL(url).pathname.split("/").at(-1) ?? "";
const versionOf = (url: string): string =>
  `${new URL(url).searchParams.get("v") ?? "?"}-${nameOf(url)}`.slice(0, 200);

function assetOf(cms: Cms, { id, alt, fileStatus, mimeType, image }: Media): Asset {
  if (fileStatus === "FAILED") throw new CmsFault("cms_file_failed");
  if (!image) throw new CmsFault("cms_not_ready", { internal: fileStatus, retryAfterS: notReadyS });
  return {
    id,
    version: versionOf(image.url),
    ...(typeof mimeType === "string" ? { mimeType } : {}),
    fileName: nameOf(image.url),
    words: cms.targets.alt === undefined ? {} : { alt: alt ?? null },
    file: { url: image.url },
  };
}
