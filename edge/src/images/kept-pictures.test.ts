import { expect, test } from "vitest";
import { contentTypeOf } from "./content-type.ts";
import { keptPictures, type KeptStore } from "./kept-pictures.ts";

const imageId = `img_${"a".repeat(64)}`;
const pixels = { data: new Uint8Array(4), width: 1, height: 1 };

/** R2 in memory, which lists two at a time. */
function memory() {
  const files = new Map<string, { bytes: Uint8Array; customMetadata: Record<string, string> }>();
  const store: KeptStore = {
    put: async (key, bytes, { customMetadata }) => void files.set(key, { bytes, customMetadata }),
    async get(key) {
      const file = files.get(key);
      if (file === undefined) return null;
      const body = new Response(new Uint8Array(file.bytes)).body;
      if (body === null) throw new Error("no body");
      return { ...file, body, size: file.bytes.length };
    },
    head: async (key) => files.get(key) ?? null,
    async list({ prefix }) {
      const all = [...files.keys()].filter((key) => key.startsWith(prefix));
      return { objects: all.slice(0, 2).map((key) => ({ key })), truncated: all.length > 2 };
    },
    delete: async (keys) => keys.forEach((key) => files.delete(key)),
  };
  return { files, store };
}
const room = (store: KeptStore, at: number, purged = -1) =>
  keptPictures({
    ...{ store, at, purgedAt: async () => purged },
    encode: async () => new TextEncoder().encode("webp"),
  });

test("what is put is served by what it is, with the tag of its bytes; other tenants have none", async () => {
  const { store } = memory();
  const kept = room(store, 5);
  await kept.putThumbnail("t:ada", imageId, pixels);
  await kept.putOriginal("t:ada", "ns", imageId, new TextEncoder().encode("GIF89a and more"));
  const thumbnail = await kept.open("t:ada", { imageId, variant: "thumbnail" });
  expect(thumbnail).toMatchObject({ type: "image/webp", bytes: 4 });
  expect(thumbnail?.tag).toMatch(/^"[0-9a-f]{32}"$/);
  expect(await new Response(thumbnail?.body ?? null).text()).toBe("webp");
  const original = { imageId, variant: "original", namespace: "ns" } as const;
  expect(await kept.open("t:ada", original)).toMatchObject({ type: "image/gif" });
  expect(await kept.open("t:ada", { ...original, namespace: "other" })).toBeUndefined();
  expect(await kept.open("t:bob", { imageId, variant: "thumbnail" })).toBeUndefined();
  expect(await kept.thumbnailAt("t:ada", imageId)).toBe(5);
  expect(await kept.thumbnailAt("t:bob", imageId)).toBeUndefined();
});

test("what was forgotten since is not there, and is again once it is put anew", async () => {
  const { store } = memory();
  await room(store, 5).putThumbnail("t:ada", imageId, pixels);
  const after = room(store, 9, 7);
  expect(await after.thumbnailAt("t:ada", imageId)).toBeUndefined();
  expect(await after.open("t:ada", { imageId, variant: "thumbnail" })).toBeUndefined();
  await after.putThumbnail("t:ada", imageId, pixels);
  expect(await after.thumbnailAt("t:ada", imageId)).toBe(9);
});

test("the files of a namespace are dropped, some with each call, and no others", async () => {
  const { files, store } = memory();
  const kept = room(store, 1);
  const put = (namespace: string, n: number) =>
    kept.putOriginal("t:ada", namespace, `img_${String(n).padStart(64, "0")}`, new Uint8Array(1));
  for (let n = 0; n < 45; n++) await put("one", n);
  await put("one-more", 0);
  expect(await kept.dropOriginals("t:ada", "one")).toBe(true);
  expect(await kept.dropOriginals("t:ada", "one")).toBe(false);
  expect([...files.keys()]).toEqual([expect.stringContaining("/one-more/")]);
});

test.each([
  ["ffd8ff", "image/jpeg"],
  ["89504e470d0a1a0a", "image/png"],
  ["524946460000000057454250", "image/webp"],
  ["474946383961", "image/gif"],
  ["0000001c6674797061766966", "image/avif"],
  ["3c68746d6c3e", "application/octet-stream"],
  ["3c7376672f3e", "application/octet-stream"],
])("%s is %s", (hex, type) => {
  expect(contentTypeOf(new Uint8Array(Buffer.from(hex, "hex")))).toBe(type);
});
