// A site of one's own, as docs/cms.md asks for: three routes, If-Match on writing, Standard Webhooks by the
// specification's own package.
import type { FakeAsset, FakeVendor } from "./fake-cms.ts";
import { uploadedOn } from "./fake-cms.ts";
import { standardHook, standardProof } from "./standard-sender.ts";

const perPage = 100;
const rowOf = (asset: FakeAsset) => ({
  ...{ id: asset.id, version: uploadedOn(asset), url: `/assets/${asset.id}/file` },
  ...{ mime_type: asset.mime, name: asset.name },
  revision: JSON.stringify([asset.alt, asset.caption, asset.tags, asset.uploads]),
  ...{ alt: asset.alt, caption: asset.caption, tags: asset.tags },
});

export const fakeSite: FakeVendor = {
  kind: "standard",
  hasTags: true,
  captionField: "caption",
  proof: standardProof,
  checksRevision: true,
  canReplace: true,
  doing({ method, url: { pathname } }) {
    if (method === "PATCH") return "write";
    if (pathname.endsWith("/file")) return "file";
    return pathname === "/assets" ? "list" : "read";
  },
  idOf: (index) => `asset-${index}`,

  answer({ method, url, headers, body }, assets, token) {
    if (headers.authorization !== `Bearer ${token}`) return { status: 401 };
    const [, , id = "", file] = url.pathname.split("/");
    if (id === "") {
      const ofUntitled = url.searchParams.get("without") === "alt";
      const rows = Array.from(assets.values(), rowOf).filter(
        ({ alt, mime_type: mime }) =>
          mime.startsWith("image/") && (!ofUntitled || (alt ?? "") === ""),
      );
      const from = Number(url.searchParams.get("cursor") ?? 0);
      const next = from + perPage < rows.length ? { cursor: String(from + perPage) } : {};
      return { status: 200, body: { assets: rows.slice(from, from + perPage), ...next } };
    }
    const asset = assets.get(decodeURIComponent(id));
    if (asset === undefined) return { status: 404 };
    if (file === "file") {
      return { status: 200, headers: { "content-type": asset.mime }, body: asset.bytes };
    }
    if (method === "PATCH") {
      if (headers["if-match"] !== rowOf(asset).revision) return { status: 412 };
      Object.assign(asset, JSON.parse(body) as object);
    }
    return { status: 200, body: rowOf(asset) };
  },

  hook(event, asset, secret, sent) {
    const { id, version, mime_type } = rowOf(asset);
    const name = { created: "asset.created", deleted: "asset.deleted" };
    const type = event === "created" || event === "deleted" ? name[event] : "asset.updated";
    const now = sent === undefined ? new Date() : new Date(sent.nowMs);
    const body = JSON.stringify({
      ...{ type, timestamp: now.toISOString(), data: { id, version, mime_type } },
    });
    return standardHook(body, secret, now);
  },
};
