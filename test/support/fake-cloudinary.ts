// Cloudinary as its published API describes it (Admin API: resources by asset_id, list of images; Upload API: context
// and tags; webhook notifications): the hour of calls that is used up is 420, commands answer with what they were
// applied to, files are on another host. Notifications are signed by the vendor's own package.
import { v2 as vendor } from "cloudinary";
import {
  filesAt,
  type CmsAnswer,
  type CmsRequest,
  type FakeAsset,
  type FakeHook,
  type FakeVendor,
} from "./fake-cms.ts";

const cloud = "demo";
const base = `/v1_1/${cloud}`;
const host = "res.cloudinary.com";
const folder = "site/summer 2026";
const errorOf = (status: number, message: string): CmsAnswer => ({
  ...{ status, body: { error: { message } } },
});
const isImage = ({ mime }: FakeAsset): boolean => mime.startsWith("image/");
const publicIdOf = ({ id }: Pick<FakeAsset, "id">): string => `${folder}/${id}`;
const idIn = (publicId: string): string => publicId.split("/").at(-1) ?? "";

function resourceOf(asset: FakeAsset, files = `https://${host}`) {
  const format = isImage(asset) ? asset.mime.slice("image/".length).replace("jpeg", "jpg") : "txt";
  const kind = isImage(asset) ? "image" : "raw";
  const version = 1_795_418_160 + asset.uploads;
  const path = `${kind}/upload/v${version}/${encodeURI(publicIdOf(asset))}.${format}`;
  return {
    ...{ asset_id: asset.id, public_id: publicIdOf(asset), version, format, resource_type: kind },
    ...{ type: "upload", created_at: "2026-11-23T07:16:00Z", bytes: asset.bytes.length },
    ...{ width: 64, height: 64, asset_folder: folder, display_name: asset.name },
    secure_url: `${files}/${cloud}/${path}`,
  };
}

/** Without any, there is no `context` and no `tags`. */
function withWords(asset: FakeAsset, files?: string) {
  const custom = { ...pair("alt", asset.alt), ...pair("caption", asset.caption) };
  return {
    ...resourceOf(asset, files),
    ...(asset.tags === null || asset.tags.length === 0 ? {} : { tags: asset.tags }),
    ...(Object.keys(custom).length === 0 ? {} : { context: { custom } }),
  };
}
const pair = (key: string, value: string | null) =>
  value === null || value === "" ? {} : { [key]: value };

/** The fields of a form in parts. */
function formOf({ headers, body }: CmsRequest): Map<string, string> {
  const boundary = /boundary="?([^";]+)/.exec(String(headers["content-type"]))?.[1] ?? "none";
  const parts = body.split(`--${boundary}`).slice(1, -1);
  return new Map(
    parts.map((part) => {
      const [head = "", ...rest] = part.split("\r\n\r\n");
      const name = /name="([^"]*)"/.exec(head)?.[1] ?? "";
      return [name, rest.join("\r\n\r\n").replace(/\r\n$/, "")] as const;
    }),
  );
}

/** `alt=A \= B|caption=` as keys and values. */
export const readContext = (context: string): Map<string, string> =>
  new Map(
    Array.from(context.matchAll(/((?:\\.|[^|\\])*)(?:\||$)/gs), ([, each = ""]) => {
      const [, key = "", value = ""] = /^((?:\\.|[^=\\])*)=(.*)$/s.exec(each) ?? [];
      return [key, value.replaceAll(/\\(.)/gs, "$1")] as const;
    }).filter(([key]) => key !== ""),
  );

function command(asset: FakeAsset, what: string, form: Map<string, string>): void {
  const all = form.get("command") === "remove_all";
  if (what === "tags") {
    asset.tags = all ? [] : (form.get("tag") ?? "").split(",");
    return;
  }
  const given = readContext(form.get("context") ?? "");
  for (const key of ["alt", "caption"] as const) {
    const value = given.get(key);
    if (value !== undefined || all) asset[key] = value || null;
  }
}

export const fakeCloudinary: FakeVendor = {
  kind: "cloudinary",
  hasTags: true,
  captionField: "caption",
  proof: {
    headers: ["x-cld-timestamp", "x-cld-signature"],
    ...{ windowMs: 7_200_000, coversBody: true },
  },
  checksRevision: false,
  canReplace: true,
  basePath: base,
  tokenSent: (token) => `Basic ${Buffer.from(token).toString("base64")}`,
  secretOf: (name) => `api-secret-${name}`.padEnd(27, "_"),
  doing({ method, url: { pathname } }) {
    if (!pathname.startsWith(base)) return "file";
    // Tags are a command of their own, after that of the context.
    if (method === "POST") return pathname.endsWith("/context") ? "write" : "other";
    return pathname.endsWith("/resources/image/upload") ? "list" : "read";
  },
  writtenId: (request) => idIn(formOf(request).get("public_ids[]") ?? ""),
  idOf: (index) => index.toString(16).padStart(32, "0"),

  answer(request, assets, token) {
    const { method, url, headers } = request;
    if (!url.pathname.startsWith(base)) {
      const asset = assets.get(/([0-9a-f]{32})\.\w+$/.exec(url.pathname)?.[1] ?? "");
      if (asset === undefined) return { status: 404 };
      return { status: 200, headers: { "content-type": asset.mime }, body: asset.bytes };
    }
    if (headers["authorization"] !== fakeCloudinary.tokenSent?.(token)) {
      return errorOf(401, "Invalid credentials");
    }
    const path = url.pathname.slice(base.length);
    const files = filesAt(url, host);
    if (method === "GET" && path === "/resources/image/upload") {
      const images = Array.from(assets.values()).filter(isImage);
      const from = Number(url.searchParams.get("next_cursor") ?? 0);
      const to = from + Number(url.searchParams.get("max_results") ?? 10);
      const more = to < images.length ? { next_cursor: String(to) } : {};
      const shown = url.searchParams.get("context") === "true" ? withWords : resourceOf;
      const resources = images.slice(from, to).map((asset) => shown(asset, files));
      return { status: 200, body: { resources, ...more } };
    }
    const byId = /^\/resources\/([0-9a-f]{32})$/.exec(path)?.[1];
    if (method === "GET" && byId !== undefined) {
      const asset = assets.get(byId);
      if (asset === undefined) return errorOf(404, `Resource not found - ${byId}`);
      return { status: 200, body: withWords(asset, files) };
    }
    const what = /^\/image\/(context|tags)$/.exec(path)?.[1];
    if (method !== "POST" || what === undefined) return errorOf(404, "unknown route");
    const form = formOf(request);
    const publicId = form.get("public_ids[]") ?? "";
    const asset = assets.get(idIn(publicId));
    if (asset === undefined || form.get("type") !== "upload" || publicId !== publicIdOf(asset)) {
      return { status: 200, body: { public_ids: [] } };
    }
    command(asset, what, form);
    return { status: 200, body: { public_ids: [publicId] } };
  },

  hook(event, asset, secret, sent) {
    const { asset_id, public_id, resource_type, type } = resourceOf(asset);
    const about = { asset_id, public_id, resource_type, type };
    const words = { added: [], removed: [], updated: [{ name: "alt", value: asset.alt }] };
    const said = {
      created: { notification_type: "upload", ...withWords(asset) },
      replaced: { notification_type: "upload", ...withWords(asset), overwritten: true },
      edited: {
        notification_type: "resource_context_changed",
        ...{ source: "ui", resources: { [public_id]: { ...about, ...words } } },
      },
      deleted: { notification_type: "delete", resources: [about] },
    }[event];
    return signed(said, secret, Math.floor((sent?.nowMs ?? Date.now()) / 1000));
  },
};

function signed(said: object, secret: string, at: number): FakeHook {
  const body = JSON.stringify({
    ...{ timestamp: new Date(at * 1000).toISOString(), request_id: "r1", ...said },
  });
  return {
    headers: {
      ...{ "content-type": "application/json", "x-cld-timestamp": String(at) },
      "x-cld-signature": vendor.utils.webhook_signature(body, at, { api_secret: secret }),
    },
    body,
  };
}
