// WordPress 6.5 with our plugin, and without it: media as core's REST API has them, application passwords as Basic, a
// webhook for files and none for words. What the plugin adds is what the real one adds (infra/cms/wordpress).
import { createHash } from "node:crypto";
import type { CmsAnswer, FakeAsset, FakeVendor } from "./fake-cms.ts";
import { standardHook, standardProof } from "./standard-sender.ts";

const route = "/wp-json/wp/v2/media";
const perPage = 100;
const fileOf = (asset: FakeAsset): string => `2026/11/${asset.name}`;
const factsOf = (asset: FakeAsset) => ({
  ...{ file: fileOf(asset), filesize: asset.bytes.length, width: 64, height: 64 },
});
const textOf = (text: string | null) => ({ raw: text ?? "", rendered: `<p>${text ?? ""}</p>\n` });
const revisionOf = (asset: FakeAsset): string =>
  createHash("md5")
    .update(JSON.stringify([asset.alt ?? "", asset.caption ?? "", asset.uploads]))
    .digest("hex");

const mediaOf = (asset: FakeAsset, host: string) => ({
  ...{ id: Number(asset.id), status: "inherit", mime_type: asset.mime },
  ...{ source_url: `https://${host}/wp-content/uploads/${fileOf(asset)}` },
  ...{ alt_text: asset.alt ?? "", caption: textOf(asset.caption), description: textOf(null) },
  media_details: asset.mime.startsWith("image/")
    ? { ...factsOf(asset), sizes: {}, image_meta: {} }
    : { filesize: asset.bytes.length, sizes: {} },
});
const refusal = (status: number, code: string): CmsAnswer => ({
  ...{ status, body: { code, message: "Refused.", data: { status } } },
});

/** Core alone: nobody checks a revision, and the list is of all pictures. */
export const fakeBareWordpress: FakeVendor = {
  kind: "wordpress",
  hasTags: false,
  captionField: "caption",
  proof: standardProof,
  checksRevision: false,
  canReplace: true,
  tokenSent: (token) => Buffer.from(token).toString("base64"),
  doing({ method, url: { pathname } }) {
    if (method === "POST") return "write";
    if (pathname.startsWith("/wp-content/uploads/")) return "file";
    return pathname === route ? "list" : "read";
  },
  idOf: (index) => String(index + 3),
  answer: (request, assets, token) => answer(request, assets, token, false),

  hook(event, asset, secret, sent) {
    if (event === "edited" || event === "deleted") return undefined;
    const now = sent === undefined ? new Date() : new Date(sent.nowMs);
    const body = JSON.stringify({
      type: event === "created" ? "asset.created" : "asset.updated",
      timestamp: now.toISOString(),
      data: {
        ...{ id: Number(asset.id), mime_type: asset.mime },
        ...(asset.mime.startsWith("image/")
          ? factsOf(asset)
          : { file: null, filesize: asset.bytes.length, width: null, height: null }),
      },
    });
    return standardHook(body, secret, now);
  },
};

export const fakeWordpress: FakeVendor = {
  ...fakeBareWordpress,
  checksRevision: true,
  answer: (request, assets, token) => answer(request, assets, token, true),
};

function answer(
  { method, url, headers, body }: Parameters<FakeVendor["answer"]>[0],
  assets: Map<string, FakeAsset>,
  token: string,
  hasPlugin: boolean,
): CmsAnswer {
  const all = Array.from(assets.values());
  if (url.pathname.startsWith("/wp-content/uploads/")) {
    const asset = all.find((each) => url.pathname.endsWith(fileOf(each)));
    if (asset === undefined) return { status: 404, body: "<html>Not found</html>" };
    return { status: 200, headers: { "content-type": asset.mime }, body: asset.bytes };
  }
  if (headers["authorization"] !== `Basic ${Buffer.from(token).toString("base64")}`) {
    return refusal(401, "rest_forbidden_context");
  }
  const query = url.searchParams;
  if (url.pathname === route) {
    const rows = all
      .filter(({ mime }) => mime.startsWith("image/"))
      .filter(({ alt }) => !hasPlugin || !query.has("blip2_edge_untitled") || (alt ?? "") === "");
    const page = Number(query.get("page"));
    const from = (page - 1) * perPage;
    if (page > 1 && from >= rows.length) return refusal(400, "rest_post_invalid_page_number");
    const shown = rows.slice(from, from + perPage).map((asset) => mediaOf(asset, url.host));
    return { status: 200, body: shown };
  }
  const asset = assets.get(url.pathname.slice(route.length + 1));
  if (asset === undefined) return refusal(404, "rest_post_invalid_id");
  if (method === "POST") {
    const fields = JSON.parse(body) as Record<string, string>;
    const read = fields["blip2_edge_revision"];
    if (hasPlugin && read !== undefined && read !== revisionOf(asset)) {
      return refusal(412, "blip2_edge_changed");
    }
    // Core sets no field to null.
    if (Object.values(fields).includes(null as never)) return refusal(400, "rest_invalid_param");
    if (fields["alt_text"] !== undefined) asset.alt = fields["alt_text"];
    if (fields["caption"] !== undefined) asset.caption = fields["caption"];
  }
  const revision = hasPlugin ? { blip2_edge_revision: revisionOf(asset) } : {};
  return { status: 200, body: { ...mediaOf(asset, url.host), ...revision } };
}
