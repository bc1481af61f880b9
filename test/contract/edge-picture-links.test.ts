// Thumbnails, originals and the links to them, and captions by a signed link: what whoever has a link gets, and what
// nobody gets who changed one, came late, or whose picture or key is gone.
import { createClient } from "@blip2-edge/shared/client";
import { scopes } from "@blip2-edge/shared/contracts/keys";
import type { ImageRecord } from "@blip2-edge/shared/contracts/images";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createApiKey } from "../../edge/src/auth/api-key.ts";
import { captionLinks } from "../../edge/src/links/caption-link.ts";
import { pictureLinks, type LinkTarget } from "../../edge/src/links/picture-link.ts";
import { tokenSealer } from "../../edge/src/links/token.ts";
import { expectProblem, startEdge, type Edge } from "../support/edge.ts";

const secret = "the-secret-of-links-in-this-test";
const links = pictureLinks(tokenSealer([secret]));
let edge: Edge;
let file: Buffer;
/** A drawing of 900 x 600, another for each seed. */
const drawing = (seed: number) =>
  sharp({ create: { width: 900, height: 600, channels: 3, background: { r: seed, g: 9, b: 200 } } })
    .composite([
      {
        input: { create: { width: 300, height: 200, channels: 3, background: "#fc0" } },
        left: seed,
        top: 7,
      },
    ])
    .jpeg()
    .toBuffer();
beforeAll(async () => {
  file = await drawing(1);
  const fetched = await drawing(2);
  edge = await startEdge({
    vars: { LINK_SECRETS: secret, LINK_TTL_S: "604800", CATALOG_TTL_MS: "600000" },
    internet: () =>
      new Response(new Uint8Array(fetched), {
        headers: { "cache-control": "public, max-age=600", "content-type": "text/html" },
      }),
  });
  for (const [tenant, key] of [
    ["ada", edge.ada],
    ["bob", edge.bob],
  ] as const) {
    await edge.worker.putKey({ key, tenant, name: "test", scopes });
  }
});
afterAll(() => edge?.stop());

const clientOf = (key = edge.ada) => createClient({ url: edge.url, key, maxRetries: 0 });
const put = (namespace: string, id = "a", bytes: Uint8Array = file, key = edge.ada) =>
  clientOf(key).imagePut({ namespace, id, image: { bytes }, caption: false });
/** Without a key. */
const follow = (url: string | undefined, init: RequestInit = {}) => {
  expect(url).toMatch(new RegExp(`^${edge.url}/i/[A-Za-z0-9_-]+$`));
  return fetch(url ?? "", init);
};
const isGone = async (url: string | undefined, init?: RequestInit) =>
  expectProblem(await follow(url, init), "not_found", "pictureLink");
const tokenOf = (url = ""): string => url.slice(url.lastIndexOf("/") + 1);
const stored = async (imageId: string) =>
  (await edge.worker.stored()).filter((name) => name.includes(imageId)).toSorted();

describe("a thumbnail", () => {
  let record: ImageRecord;
  beforeAll(async () => {
    record = await put("thumbs");
  });

  test("has the picture's own aspect, and a link that is the same wherever the record is shown", async () => {
    const response = await follow(record.thumbnail_url);
    expect(response.status).toBe(200);
    const bytes = await response.arrayBuffer();
    expect(await sharp(bytes).metadata()).toMatchObject({
      format: "webp",
      width: 320,
      height: 213,
    });
    expect(record.original_url).toBeUndefined();
    const client = clientOf();
    const { images } = await client.imageList({ namespace: "thumbs" });
    const { hits } = await client.search({ namespace: "thumbs", text: "x" });
    const read = await client.imageRead({ namespace: "thumbs", id: "a" });
    for (const shown of [...images, ...hits, read]) {
      expect(shown.thumbnail_url).toBe(record.thumbnail_url);
    }
  });

  test("comes as a picture and nothing else, to be kept by the caller alone and not for long", async () => {
    const response = await follow(record.thumbnail_url);
    const headers = Object.fromEntries(response.headers);
    const bytes = Buffer.from(await response.arrayBuffer());
    expect(headers).toMatchObject({
      "content-type": "image/webp",
      "content-length": String(bytes.length),
      "cache-control": "private, max-age=300",
      "content-security-policy": expect.stringMatching(/default-src 'none'.*sandbox/) as string,
      "content-disposition": "inline",
      "x-content-type-options": "nosniff",
      "access-control-allow-origin": "*",
      "cross-origin-resource-policy": "cross-origin",
      etag: expect.stringMatching(/^"[0-9a-f]{32}"$/) as string,
    });
    const again = await follow(record.thumbnail_url, {
      headers: { "if-none-match": headers["etag"] ?? "" },
    });
    expect([again.status, await again.text()]).toEqual([304, ""]);
    const head = await follow(record.thumbnail_url, { method: "HEAD" });
    expect([head.status, head.headers.get("etag")]).toEqual([200, headers["etag"]]);
    // Of the same file made anew, by another tenant: the same bytes.
    const other = await follow((await put("thumbs", "a", file, edge.bob)).thumbnail_url);
    expect(Buffer.from(await other.arrayBuffer())).toEqual(bytes);
  });

  test("is there of a picture that was embedded before, by its id, and of an address that another tenant made known", async () => {
    const early = await drawing(3);
    const { image_id: imageId = "" } = await clientOf().embed({ image: { bytes: early } });
    const client = clientOf();
    const byId = await client.imagePut({
      ...{ namespace: "by-id", id: "a", caption: false, image: { image_id: imageId } },
    });
    expect((await follow(byId.thumbnail_url)).status).toBe(200);
    const url = "https://pictures.example/public.jpg";
    await client.embed({ image: { url } });
    const bobs = await clientOf(edge.bob).imagePut({
      ...{ namespace: "by-url", id: "a", caption: false, image: { url } },
    });
    // It lies with him: what is everyone's holds pixels alone.
    expect((await follow(bobs.thumbnail_url)).status).toBe(200);
    const names = (await stored(bobs.image_id)).filter((name) => name.startsWith("thumbnails/"));
    expect(names).toEqual(["ada", "bob"].map((who) => `thumbnails/t:${who}/${bobs.image_id}`));
  });

  test("of a request that is to be kept nowhere is not made", async () => {
    const bytes = await drawing(4);
    const form = new FormData();
    form.set("image", new Blob([new Uint8Array(bytes)]));
    form.set("request", JSON.stringify({ caption: false }));
    await clientOf().namespaceUpdate({ namespace: "quiet", keep_originals: true });
    const response = await edge.call("/v1/namespaces/quiet/images/a", {
      ...{ method: "PUT", body: form, headers: { "cache-control": "no-store" } },
    });
    const quiet = (await response.json()) as ImageRecord;
    expect(response.status).toBe(200);
    expect(quiet).not.toHaveProperty("thumbnail_url");
    expect(quiet).not.toHaveProperty("original_url");
    expect(await stored(quiet.image_id)).toEqual([`held/t:ada/${quiet.image_id}/quiet`]);
  });
});

describe("a link", () => {
  let record: ImageRecord;
  const at = (token: string) => `${edge.url}/i/${token}`;
  const target = (more: Partial<LinkTarget> = {}) =>
    ({
      ...{ tenant: "ada", imageId: record.image_id, until: Math.floor(Date.now() / 1000) + 100 },
      ...{ variant: "thumbnail", ...more },
    }) as LinkTarget;
  beforeAll(async () => {
    record = await put("attacked", "a", await drawing(5));
  });

  test("does not tell whose it is, nor which picture", () => {
    const raw = Buffer.from(tokenOf(record.thumbnail_url), "base64url");
    expect(raw.toString("latin1")).not.toMatch(/ada|attacked/);
    expect(raw.toString("hex")).not.toContain(record.image_id.slice(4, 20));
  });

  test("that was changed, is over, or was signed with another secret is refused with the same words", async () => {
    const token = tokenOf(record.thumbnail_url);
    const other = token.charAt(40) === "A" ? "B" : "A";
    const swapped = token.slice(0, 40) + other + token.slice(41);
    const foreign = pictureLinks(tokenSealer(["x".repeat(40)]));
    const details = new Set<string>();
    for (const bad of [
      swapped,
      token.slice(0, -1),
      `${token}A`,
      "x",
      encodeURIComponent("../../v1/models"),
      "A".repeat(3000),
      await links.write(target({ until: Math.floor(Date.now() / 1000) - 1 })),
      await foreign.write(target()),
      // Sealed with the right secret for something else.
      await captionLinks(tokenSealer([secret])).write({ keyId: "k", until: 4e9 }, { url: "u" }),
    ]) {
      const { detail } = await expectProblem(await fetch(at(bad)), "link_invalid", "pictureLink");
      details.add(detail ?? "");
      expect(edge.lastEvent()).toMatchObject({ route: "pictureLink", status: 403 });
    }
    expect(details.size).toBe(1);
    expect((await fetch(at(await links.write(target())))).status).toBe(200);
    expect(edge.lines.some((line) => line.includes(token))).toBe(false);
  });

  test("near its end is kept no longer than it lives", async () => {
    const until = Math.floor(Date.now() / 1000) + 50;
    const response = await fetch(at(await links.write(target({ until }))));
    await response.arrayBuffer();
    const [, maxAge] =
      /^private, max-age=(\d+)$/.exec(response.headers.get("cache-control") ?? "") ?? [];
    expect(Number(maxAge)).toBeLessThanOrEqual(50);
  });

  test("to another tenant's picture, or another namespace's file, leads nowhere", async () => {
    for (const other of [
      target({ tenant: "bob" }),
      target({ imageId: `img_${"0".repeat(64)}` }),
      target({ variant: "original", namespace: "attacked" }),
    ]) {
      await isGone(at(await links.write(other)));
    }
  });

  test("to a deleted picture is dead at once, also for who has it; another tenant's is not", async () => {
    const bytes = await drawing(6);
    const [first, second] = [await put("del-1", "a", bytes), await put("del-2", "a", bytes)];
    const bobs = await put("del-1", "a", bytes, edge.bob);
    const etag = (await follow(first.thumbnail_url)).headers.get("etag") ?? "";
    await clientOf().imageDelete({ namespace: "del-1", id: "a" });
    // Another record of the tenant still has it.
    expect((await follow(second.thumbnail_url)).status).toBe(200);
    await clientOf().imageDelete({ namespace: "del-2", id: "a" });
    await isGone(first.thumbnail_url);
    await isGone(second.thumbnail_url, { headers: { "if-none-match": etag } });
    expect((await follow(bobs.thumbnail_url)).status).toBe(200);
    expect(await stored(first.image_id)).not.toContainEqual(expect.stringMatching(/t:ada/));
  });

  test("to a picture that was purged is dead, and its record has none until it is put again", async () => {
    const bytes = await drawing(7);
    await clientOf().namespaceUpdate({ namespace: "purged", keep_originals: true });
    const before = await put("purged", "a", bytes);
    await clientOf().cachePurge({ image_id: before.image_id });
    await isGone(before.thumbnail_url);
    await isGone(before.original_url);
    const read = await clientOf().imageRead({ namespace: "purged", id: "a" });
    expect(Object.keys(read)).not.toEqual(
      expect.arrayContaining([expect.stringMatching(/_url$/) as string]),
    );
    expect((await follow((await put("purged", "a", bytes)).thumbnail_url)).status).toBe(200);
  });
});

describe("an original", () => {
  test("is kept where the namespace asks for it, as it was sent, and goes with its record", async () => {
    const client = clientOf();
    const namespace = "originals";
    const told = await client.namespaceUpdate({ namespace, keep_originals: true });
    expect(told).toMatchObject({ namespace, images: 0, keep_originals: true });
    const png = await sharp(await drawing(8))
      .png()
      .toBuffer();
    const kept = await put(namespace, "a", png);
    const other = await put("elsewhere", "a", png);
    expect(other.original_url).toBeUndefined();
    const response = await follow(kept.original_url);
    expect(response.headers.get("content-type")).toBe("image/png");
    expect(Buffer.from(await response.arrayBuffer())).toEqual(png);
    expect(await client.namespaceRead({ namespace })).toMatchObject({ keep_originals: true });
    await client.imageDelete({ namespace, id: "a" });
    await isGone(kept.original_url);
    // The picture itself stays with the record elsewhere.
    expect((await follow(other.thumbnail_url)).status).toBe(200);
  });

  test("of an address is what was fetched for this record, whatever is known of the address", async () => {
    const namespace = "from-urls";
    const client = clientOf();
    const image = { url: "https://pictures.example/known.jpg" };
    await client.embed({ image });
    await client.namespaceUpdate({ namespace, keep_originals: true });
    const kept = await client.imagePut({ namespace, id: "a", caption: false, image });
    const response = await follow(kept.original_url);
    expect(response.headers.get("content-type")).toBe("image/jpeg");
    expect(Buffer.from(await response.arrayBuffer())).toEqual(await drawing(2));
    // By its id there is no file to keep.
    const { image_id = "" } = await client.embed({ image: { bytes: await drawing(9) } });
    const without = await client.imagePut({
      namespace,
      id: "b",
      caption: false,
      image: { image_id },
    });
    expect(without.original_url).toBeUndefined();
  });

  test("is deleted when the namespace wants none any more, and with the namespace", async () => {
    const namespace = "changing";
    const client = clientOf();
    const originals = () => edge.worker.files("PIXELS", `originals/t:ada/${namespace}/`);
    await client.namespaceUpdate({ namespace, keep_originals: true });
    const kept = await put(namespace);
    expect(await originals()).toHaveLength(1);
    const told = await client.namespaceUpdate({ namespace, keep_originals: false });
    expect(told).not.toHaveProperty("originals_left");
    expect(await originals()).toEqual([]);
    await isGone(kept.original_url);
    expect((await client.imageRead({ namespace, id: "a" })).original_url).toBeUndefined();
    await client.namespaceUpdate({ namespace, keep_originals: true });
    await put(namespace);
    expect(await originals()).toHaveLength(1);
    await client.namespaceDelete({ namespace });
    expect(await originals()).toEqual([]);
    // Whoever takes the name again begins anew.
    expect(await client.namespaceRead({ namespace })).toMatchObject({ keep_originals: false });
  });
});

describe("a caption by a signed link", () => {
  const url = "https://pictures.example/signed.jpg";
  const make = (more: object = {}, key = edge.ada) => clientOf(key).captionLink({ url, ...more });

  test("needs no key, may be kept by all, and counts for the key that made it", async () => {
    const { url: link, expires_at: expires } = await make({ prompt: "a drawing of" });
    expect(Date.parse(expires) - Date.now()).toBeGreaterThan(86_000_000);
    const before = edge.node.inferences();
    const response = await fetch(link);
    const body = await response.text();
    expect(response.status, body).toBe(200);
    expect(edge.node.inferences() - before).toBe(1);
    expect(edge.lastEvent()).toMatchObject({
      ...{ route: "captionByUrl", signed: true, tenant: "ada", inferences: 1 },
      key_id: edge.ada.split("_")[1],
    });
    const { headers } = response;
    expect(headers.get("cache-control")).toBe("public, max-age=300");
    expect(headers.get("access-control-allow-origin")).toBe("*");
    expect([headers.get("vary"), headers.get("ratelimit-policy")]).toEqual([null, null]);
    const own = await edge.call(
      `/v1/caption?${new URLSearchParams({ url, prompt: "a drawing of" }).toString()}`,
    );
    expect(await own.text()).toBe(body);
    expect(own.headers.get("cache-control")).toBe("private, max-age=300");
    const etag = headers.get("etag") ?? "";
    expect((await fetch(link, { headers: { "if-none-match": etag } })).status).toBe(304);
    // A visitor's wishes are not at the key's cost.
    for (const wish of ["no-store", "no-cache"]) {
      expect((await fetch(link, { headers: { "cache-control": wish } })).status).toBe(200);
    }
    expect(edge.node.inferences() - before).toBe(1);
  });

  test("changed in anything, or over, is none; another key beside it changes nothing", async () => {
    const { url: link } = await make({ prompt: "a" });
    const changed = (change: (query: URLSearchParams) => void): string => {
      const to = new URL(link);
      change(to.searchParams);
      return to.href;
    };
    const fields = { url, prompt: "a" };
    const over = await captionLinks(tokenSealer([secret])).write(
      { keyId: edge.ada.split("_")[1] ?? "", until: Math.floor(Date.now() / 1000) - 1 },
      fields,
    );
    for (const bad of [
      changed((query) => query.set("prompt", "b")),
      changed((query) => query.set("url", `${url}?x`)),
      changed((query) => query.set("max_new_tokens", "9")),
      changed((query) => query.delete("prompt")),
      changed((query) => query.set("signed", "x")),
      changed((query) => query.set("signed", "")),
      changed((query) => query.set("signed", over)),
    ]) {
      await expectProblem(await fetch(bad), "link_invalid", "captionByUrl");
    }
    const reordered = changed((query) => {
      query.delete("url");
      query.append("url", url);
    });
    expect((await fetch(reordered)).status).toBe(200);
    await edge.call(link.slice(edge.url.length), { key: edge.bob });
    expect(edge.lastEvent()).toMatchObject({ tenant: "ada", status: 200 });
  });

  test("dies with its key, and is not made of what nobody could answer twice", async () => {
    const { key } = await createApiKey();
    await edge.worker.putKey({ key, tenant: "ada", name: "to be revoked", scopes: ["infer"] });
    const { url: link } = await make({}, key);
    expect((await fetch(link)).status).toBe(200);
    await clientOf().keyRevoke({ id: key.split("_")[1] ?? "" });
    await expectProblem(await fetch(link), "link_invalid", "captionByUrl");
    const refused = async (body: object, code: "invalid_request" | "url_refused") =>
      expectProblem(await edge.json("/v1/caption/links", body), code, "captionLink");
    const { errors } = await refused({ url, do_sample: true }, "invalid_request");
    expect(errors).toMatchObject([{ field: "seed" }]);
    expect((await fetch((await make({ do_sample: true, seed: 7 })).url)).status).toBe(200);
    await refused({ url, expires_in_s: 5 }, "invalid_request");
    await refused({ url, length_penalty: 1e-7 }, "invalid_request");
    await refused({ url: "http://127.0.0.1/x.png" }, "url_refused");
    await expectProblem(
      await edge.call("/v1/caption/links", { method: "POST", key: null, body: "{}" }),
      "unauthorized",
      "captionLink",
    );
  });
});
