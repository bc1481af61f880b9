import { expect, test } from "vitest";
import { memoryTiers, nothingPurged } from "../../../test/support/memory-tiers.ts";
import { requestContextOf } from "../../../test/support/request-context.ts";
import { digestBook } from "../cache/digests.ts";
import { claims } from "../claims.ts";
import type { CanonicalPicture } from "../images/canonicalise.ts";
import { openFile, type FileToOpen, type PictureRooms } from "./open-picture.ts";

const imageId = `img_${"a".repeat(64)}`;

/** Rooms that tell what was done; each picture is read `exact` or not. */
function world(exact: CanonicalPicture["exact"] = true) {
  const did: string[] = [];
  const { tiers, back, settle } = memoryTiers({ maxBytes: 10_000 });
  const rooms = {
    digests: digestBook({ tiers, purges: nothingPurged, at: 7 }),
    claims: claims(),
    pictureMemory: { highWaterBytes: () => 0 },
    pixels: {
      put(_: unknown, __: unknown, size: number) {
        did.push(`put ${size}`);
        return Promise.resolve();
      },
    },
    canonicalise(_: unknown, size: number) {
      did.push(`decode ${size}`);
      const pixels = new Uint8Array(3);
      return Promise.resolve({ imageId, size, pixels, type: "png", width: 1, height: 1, exact });
    },
  } as unknown as PictureRooms;
  const file = { bytes: new Uint8Array([1]), partitions: ["t:ada"], size: 32 } as const;
  const open = (more: Partial<FileToOpen> = {}, context = requestContextOf()) =>
    openFile(rooms, { ...file, ...more }, context);
  return { open, did, back, settle };
}

test("what was read is remembered once its pixels are kept, and then not read again", async () => {
  const { open, did, back, settle } = world();
  const first = await open();
  expect([first.pixels?.length, back.size]).toEqual([3, 0]);
  await first.keeping?.now();
  await first.keeping?.now();
  await settle();
  expect([did, back.size]).toEqual([["decode 32", "put 32"], 1]);
  const again = await open();
  expect(again).toMatchObject({ imageId, exact: true, pixels: undefined });
  expect(did).toHaveLength(2);
  // At another size it is read, and then known at both.
  await (await open({ size: 48 })).keeping?.now();
  for (const size of [32, 48]) expect((await open({ size })).pixels).toBeUndefined();
  expect(did.slice(2)).toEqual(["decode 48", "put 48"]);
  // What turns out to be lost is forgotten, or read whatever is known.
  expect((await open({ decodes: true })).pixels).toBeDefined();
  await again.forget?.();
  expect((await open()).pixels).toBeDefined();
});

test("many at the same time keep it once, unless they must", async () => {
  const { open, did } = world();
  const [a, b, c] = await Promise.all([open(), open(), open()]);
  await a.keeping?.now();
  await b.keeping?.unlessClaimed();
  expect(did.filter((what) => what === "put 32")).toHaveLength(1);
  await c.keeping?.now();
  expect(did.filter((what) => what === "put 32")).toHaveLength(2);
});

test("inexact because of itself is remembered as that; because of the moment it is not", async () => {
  for (const [exact, remembered] of [
    ["size", { exact: false, pixels: undefined }],
    ["type", { exact: false, pixels: undefined }],
    ["busy", { exact: false, inexactBecause: "busy" }],
  ] as const) {
    const { open } = world(exact);
    const first = await open();
    expect(first).toMatchObject({ exact: false, inexactBecause: exact });
    await first.keeping?.now();
    expect(await open()).toMatchObject(remembered);
  }
});

test("for a request that keeps nothing nothing is looked up or kept", async () => {
  const { open, back, settle } = world();
  await (await open()).keeping?.now();
  await settle();
  const before = back.size;
  const context = { ...requestContextOf(), wishes: { noStore: true, noCache: false } };
  const quiet = await open({}, context);
  expect([quiet.keeping, quiet.pixels?.length]).toEqual([undefined, 3]);
  expect(back.size).toBe(before);
});

test("what cannot be kept is told in the log, and takes no answer away", async () => {
  const { open } = world();
  const context = requestContextOf();
  const picture = await open({ remember: () => Promise.reject(new Error("full")) }, context);
  await picture.keeping?.now();
  expect(context.event["picture_store_fault"]).toBe("Error: full");
});
