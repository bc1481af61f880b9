// Payload 3.90 with a collection of uploads `media` of the fields alt, caption and tags: API keys, updates by a query,
// and the site's own hook for files. An empty field is left out, as a document store leaves it out.
import { countingVersions, type CmsAnswer, type FakeAsset, type FakeVendor } from "./fake-cms.ts";
import { standardHook, standardProof } from "./standard-sender.ts";

const route = "/api/media";

const versionOf = countingVersions();
/** Another moment for every change. */
const updatedAt = (asset: FakeAsset): string =>
  new Date(Date.UTC(2026, 10, 23, 7, 17) + versionOf(asset)).toISOString();
const rowOf = (asset: FakeAsset) => ({
  ...{ id: Number(asset.id), filename: asset.name, mimeType: asset.mime },
  ...{ filesize: asset.bytes.length, url: `${route}/file/${asset.name}` },
  ...(asset.mime.startsWith("image/") ? { width: 64, height: 64 } : {}),
  ...{ createdAt: "2026-11-23T07:16:03.594Z", updatedAt: updatedAt(asset) },
  ...(asset.alt === null ? {} : { alt: asset.alt }),
  ...(asset.caption === null ? {} : { caption: asset.caption }),
  ...(asset.tags === null ? {} : { tags: asset.tags }),
});
const refusal = (status: number, message: string): CmsAnswer => ({
  ...{ status, body: { errors: [{ message }] } },
});

export const fakePayload: FakeVendor = {
  kind: "payload",
  // Only where the connection names the field.
  hasTags: false,
  captionField: "caption",
  proof: standardProof,
  checksRevision: true,
  canReplace: true,
  basePath: route,
  doing({ method, url: { pathname } }) {
    if (method === "PATCH") return "write";
    if (pathname.startsWith(`${route}/file/`)) return "file";
    return pathname === route ? "list" : "read";
  },
  writtenId: ({ url }) => url.searchParams.get("where[and][0][id][equals]") ?? "",
  idOf: (index) => String(index),

  answer({ method, url, headers, body }, assets, token) {
    if (headers["authorization"] !== `users API-Key ${token}`) {
      return refusal(403, "You are not allowed to perform this action.");
    }
    const all = Array.from(assets.values());
    const query = url.searchParams;
    if (url.pathname.startsWith(`${route}/file/`)) {
      const asset = all.find(({ name }) => url.pathname.endsWith(`/${name}`));
      if (asset === undefined) return refusal(404, "Not Found");
      return { status: 200, headers: { "content-type": asset.mime }, body: asset.bytes };
    }
    if (method === "PATCH") {
      const [id, read] = ["where[and][0][id][equals]", "where[and][1][updatedAt][equals]"].map(
        (name) => query.get(name),
      );
      const asset = assets.get(id ?? "");
      if (asset === undefined || (read !== null && read !== updatedAt(asset))) {
        return { status: 200, body: { docs: [], errors: [], message: "Updated 0 Media." } };
      }
      const fields = JSON.parse(body) as Partial<FakeAsset>;
      Object.assign(asset, fields);
      const written = { ...rowOf(asset), ...fields };
      return { status: 200, body: { docs: [written], errors: [], message: "Updated 1 Media." } };
    }
    if (url.pathname === route) {
      const ofUntitled = query.has("where[and][1][or][0][alt][exists]");
      const rows = all.filter(
        ({ mime, alt }) => mime.startsWith("image/") && (!ofUntitled || (alt ?? "") === ""),
      );
      const [limit, page] = ["limit", "page"].map((name) => Number(query.get(name))) as [
        number,
        number,
      ];
      const docs = rows.slice((page - 1) * limit, page * limit).map(rowOf);
      return { status: 200, body: { docs, hasNextPage: page * limit < rows.length, page } };
    }
    const asset = assets.get(url.pathname.slice(route.length + 1));
    return asset === undefined ? refusal(404, "Not Found") : { status: 200, body: rowOf(asset) };
  },

  hook(event, asset, secret, sent) {
    if (event === "edited" || event === "deleted") return undefined;
    const now = sent === undefined ? new Date() : new Date(sent.nowMs);
    const {
      id,
      filename: file,
      mimeType: mime_type,
      filesize,
      width,
      height,
    } = {
      ...{ width: undefined, height: undefined },
      ...rowOf(asset),
    };
    const body = JSON.stringify({
      type: event === "created" ? "asset.created" : "asset.updated",
      timestamp: now.toISOString(),
      data: { id, file, mime_type, filesize, width, height },
    });
    return standardHook(body, secret, now);
  },
};
