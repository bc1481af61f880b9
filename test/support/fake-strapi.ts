// Strapi 5.54 with files on its own disk: a relative url, sizes in kilobytes, and a webhook for what is written too.
import type { FakeAsset, FakeVendor } from "./fake-cms.ts";
import { uploadedOn } from "./fake-cms.ts";

const mediaOf = (asset: FakeAsset) => ({
  ...{ id: Number(asset.id), documentId: `doc${asset.id}`, name: asset.name },
  ...{ alternativeText: asset.alt, caption: asset.caption, focalPoint: null },
  ...{ width: 64, height: 64, formats: null, hash: `img_${asset.id}_37961efbaf`, ext: ".png" },
  ...{ mime: asset.mime, size: Math.round(asset.bytes.length / 10) / 100 },
  ...{ url: `/uploads/${asset.id}.png`, previewUrl: null, provider: "local" },
  ...{ provider_metadata: null, createdAt: uploadedOn(asset), updatedAt: uploadedOn(asset) },
  publishedAt: uploadedOn(asset),
});
const errorOf = (status: number, name: string) => ({
  status,
  body: { data: null, error: { status, name, message: name, details: {} } },
});

export const fakeStrapi: FakeVendor = {
  kind: "strapi",
  hasTags: false,
  captionField: "caption",
  proof: { headers: ["x-webhook-secret"], windowMs: null, coversBody: false },
  checksRevision: false,
  canReplace: true,
  doing({ method, url: { pathname } }) {
    if (method === "POST") return "write";
    if (pathname.startsWith("/uploads/")) return "file";
    return pathname === "/api/upload/files" ? "list" : "read";
  },
  idOf: (index) => String(index),

  answer({ method, url, headers, body }, assets, token) {
    if (method === "GET" && url.pathname.startsWith("/uploads/")) {
      const asset = assets.get(/\d+/.exec(url.pathname)?.[0] ?? "");
      if (asset === undefined) return errorOf(404, "NotFoundError");
      return { status: 200, headers: { "content-type": asset.mime }, body: asset.bytes };
    }
    if (headers.authorization === undefined) return errorOf(403, "ForbiddenError");
    if (headers.authorization !== `Bearer ${token}`) return errorOf(401, "UnauthorizedError");
    if (method === "GET" && url.pathname === "/api/upload/files") {
      const ofUntitled = url.searchParams.has("filters[$or][0][alternativeText][$null]");
      const rows = Array.from(assets.values(), mediaOf).filter(
        ({ mime, alternativeText }) =>
          mime.startsWith("image/") && (!ofUntitled || (alternativeText ?? "") === ""),
      );
      const from = Number(url.searchParams.get("start"));
      return { status: 200, body: rows.slice(from, from + Number(url.searchParams.get("limit"))) };
    }
    const inPath = /^\/api\/upload\/files\/(\d+)$/.exec(url.pathname)?.[1];
    const asset = assets.get(inPath ?? url.searchParams.get("id") ?? "");
    if (asset === undefined) return errorOf(404, "NotFoundError");
    if (method === "GET") return { status: 200, body: mediaOf(asset) };
    if (method === "POST" && url.pathname === "/api/upload") {
      const { fileInfo } = JSON.parse(body) as { fileInfo: Record<string, string | null> };
      if ("alternativeText" in fileInfo) asset.alt = fileInfo["alternativeText"] ?? null;
      if ("caption" in fileInfo) asset.caption = fileInfo["caption"] ?? null;
      return { status: 200, body: mediaOf(asset) };
    }
    return errorOf(405, "MethodNotAllowedError");
  },

  hook(event, asset, secret) {
    const name = { created: "media.create", deleted: "media.delete" };
    const said = event === "created" || event === "deleted" ? name[event] : "media.update";
    return {
      headers: {
        "content-type": "application/json",
        "x-strapi-event": said,
        "x-webhook-secret": secret,
      },
      body: JSON.stringify({
        ...{ event: said, createdAt: "2026-11-23T07:16:04.000Z", media: mediaOf(asset) },
      }),
    };
  },
};
