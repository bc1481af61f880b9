// Directus 12.4 as it answers an administrator's token: unknown ids are 204 when written, tags are what they are.
import type { CmsAnswer, FakeAsset, FakeHook, FakeVendor } from "./fake-cms.ts";
import { uploadedOn } from "./fake-cms.ts";

const refused: CmsAnswer = {
  status: 401,
  body: {
    errors: [{ message: "Invalid user credentials.", extensions: { code: "INVALID_CREDENTIALS" } }],
  },
};

const rowOf = (asset: FakeAsset) => ({
  ...{ id: asset.id, storage: "local", title: asset.name, type: asset.mime, folder: null },
  ...{ filename_disk: `${asset.id}.png`, filename_download: asset.name },
  ...{ uploaded_on: uploadedOn(asset), modified_on: uploadedOn(asset) },
  ...{ filesize: String(asset.bytes.length), width: 64, height: 64 },
  ...{ description: asset.alt, location: asset.caption, tags: asset.tags },
});

export const fakeDirectus: FakeVendor = {
  kind: "directus",
  hasTags: true,
  captionField: "location",
  proof: { headers: ["x-webhook-secret"], windowMs: null, coversBody: false },
  checksRevision: false,
  canReplace: true,
  doing({ method, url: { pathname, searchParams } }) {
    if (method === "PATCH") return "write";
    if (pathname.startsWith("/assets/")) return "file";
    return searchParams.get("filter")?.includes('{"id"') === true ? "read" : "list";
  },
  idOf: (index) => `0e7d9dd4-7c1a-4b34-9d0c-${String(index).padStart(12, "0")}`,

  answer({ method, url, headers, body }, assets, token) {
    if (headers.authorization !== `Bearer ${token}`) return refused;
    const id = decodeURIComponent(url.pathname.split("/").at(-1) ?? "");
    const asset = assets.get(id);
    if (method === "GET" && url.pathname.startsWith("/assets/")) {
      if (asset === undefined) return { status: 404, body: { errors: [{ message: "Not found" }] } };
      return { status: 200, headers: { "content-type": asset.mime }, body: asset.bytes };
    }
    if (method === "GET" && url.pathname === "/files") {
      // As the real one: an empty text cannot be asked for.
      if (url.searchParams.get("filter")?.includes('"_eq":""') === true) return { status: 400 };
      const filter = JSON.parse(url.searchParams.get("filter") ?? "{}") as {
        id?: { _eq: string };
        _and?: unknown;
      };
      if (filter.id !== undefined) {
        const one = assets.get(filter.id._eq);
        return { status: 200, body: { data: one === undefined ? [] : [rowOf(one)] } };
      }
      const ofUntitled = filter._and !== undefined;
      const rows = Array.from(assets.values(), rowOf).filter(
        ({ type, description }) =>
          type.startsWith("image/") && (!ofUntitled || (description ?? "") === ""),
      );
      const [limit, page] = ["limit", "page"].map((name) => Number(url.searchParams.get(name)));
      const from = ((page ?? 1) - 1) * (limit ?? 0);
      return { status: 200, body: { data: rows.slice(from, from + (limit ?? 0)) } };
    }
    if (method === "PATCH" && url.pathname.startsWith("/files/")) {
      if (asset === undefined) return { status: 204 };
      const fields = JSON.parse(body) as Record<string, never>;
      if ("description" in fields) asset.alt = fields["description"];
      if ("location" in fields) asset.caption = fields["location"];
      if ("tags" in fields) asset.tags = fields["tags"];
      return { status: 200, body: { data: rowOf(asset) } };
    }
    return { status: 404, body: { errors: [{ message: "Route doesn't exist." }] } };
  },

  hook(event, asset, secret) {
    if (event === "edited") return undefined;
    if (event === "deleted") {
      return hookOf(secret, {
        ...{ event: "files.delete", payload: [asset.id], keys: [asset.id] },
        collection: "directus_files",
      });
    }
    const { title, type, filename_download, filename_disk, uploaded_on } = rowOf(asset);
    const payload = {
      ...{ storage: "local", title, filename_download, type, filename_disk },
      ...{ filesize: asset.bytes.length, uploaded_on },
      ...(event === "replaced" ? { description: asset.alt, metadata: "{}" } : {}),
    };
    return hookOf(secret, {
      ...{ event: "files.upload", payload, key: asset.id, collection: "directus_files" },
    });
  },
};

const hookOf = (secret: string, body: object): FakeHook => ({
  headers: { "content-type": "application/json", "x-webhook-secret": secret },
  body: JSON.stringify(body),
});
