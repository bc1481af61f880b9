// Storyblok as its OpenAPI descriptions have it (github.com/storyblok/monoblok, packages/openapi: assets of the Management
// API) and its page on webhooks. Where they leave open whether metadata is merged or replaced, it is replaced here:
// what a write leaves out is gone. Files are on another host, under a new address for each upload.
import { createHash, createHmac } from "node:crypto";
import { filesAt, type CmsAnswer, type FakeAsset, type FakeVendor } from "./fake-cms.ts";

const space = 288868932106293;
const base = `/v1/spaces/${space}`;
const host = "a.storyblok.com";
const notFound: CmsAnswer = { status: 404, body: ["This record could not be found"] };

function assetOf(asset: FakeAsset, files = `https://${host}`) {
  const upload = createHash("sha1").update(`${asset.id} ${asset.uploads}`).digest("hex");
  return {
    ...{
      id: Number(asset.id),
      space_id: space,
      asset_folder_id: null,
      deleted_at: null,
      file: null,
    },
    filename: `${files}/f/${space}/64x64/${upload.slice(0, 10)}/${asset.name}`,
    ...{ short_filename: asset.name, content_type: asset.mime, content_length: asset.bytes.length },
    ...{ created_at: "2026-11-23T07:16:00.000Z", updated_at: new Date().toISOString() },
    ...{ alt: asset.alt, title: asset.caption, copyright: "", source: "" },
    ...{ is_private: false, locked: false, internal_tag_ids: [], internal_tags_list: [] },
    meta_data: { alt: asset.alt ?? "", title: asset.caption ?? "", copyright: "", source: "" },
  };
}

export const fakeStoryblok: FakeVendor = {
  kind: "storyblok",
  hasTags: false,
  captionField: "title",
  proof: { headers: ["webhook-signature"], windowMs: null, coversBody: true },
  checksRevision: false,
  canReplace: true,
  basePath: base,
  doing({ method, url: { pathname } }) {
    if (!pathname.startsWith(base)) return "file";
    if (method === "PUT") return "write";
    return pathname.endsWith("/assets") ? "list" : "read";
  },
  idOf: (index) => String(20_142_500 + index),

  answer({ method, url, headers, body }, assets, token) {
    const files = filesAt(url, host);
    if (!url.pathname.startsWith(base)) {
      const found = [...assets.values()].find((each) => assetOf(each, files).filename === url.href);
      if (found === undefined) return { status: 404 };
      return { status: 200, headers: { "content-type": found.mime }, body: found.bytes };
    }
    if (headers["authorization"] !== token) return { status: 401, body: { error: "Unauthorized" } };
    const path = url.pathname.slice(base.length);
    if (method === "GET" && path === "/assets") {
      const [page, perPage] = ["page", "per_page"].map((name) =>
        Number(url.searchParams.get(name)),
      ) as [number, number];
      const from = (page - 1) * perPage;
      const shown = [...assets.values()].slice(from, from + perPage);
      return { status: 200, body: { assets: shown.map((each) => assetOf(each, files)) } };
    }
    const asset = assets.get(/^\/assets\/(\d+)$/.exec(path)?.[1] ?? "");
    if (asset === undefined) return notFound;
    if (method === "GET") return { status: 200, body: assetOf(asset, files) };
    if (method !== "PUT") return { status: 405 };
    const { meta_data: given } = (
      JSON.parse(body) as { asset: { meta_data: Record<string, string | undefined> } }
    ).asset;
    asset.alt = given["alt"] || null;
    asset.caption = given["title"] || null;
    return { status: 200, body: { asset: assetOf(asset, files) } };
  },

  hook(event, asset, secret) {
    // Words that are edited are told to nobody.
    if (event === "edited") return undefined;
    const body = JSON.stringify({
      text: `The user editor@example.com ${event} the asset ${assetOf(asset).filename}`,
      ...{ action: event, asset_id: Number(asset.id), space_id: space },
    });
    // As Storyblok's page on webhooks verifies it.
    const signature = createHmac("sha1", secret).update(body).digest("hex");
    return {
      headers: { "content-type": "application/json", "webhook-signature": signature },
      body,
    };
  },
};
