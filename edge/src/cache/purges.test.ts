import { expect, test } from "vitest";
import { memoryTables } from "../../../test/support/sqlite.ts";
import { claims } from "../claims.ts";
import { deletedPicture, purges, type About, type PurgeMemory, type PurgeTable } from "./purges.ts";

const everything = "*";
const image = `img_${"a".repeat(64)}`;
const revision = "0".repeat(16);

function world() {
  const tables = memoryTables();
  const memory: PurgeMemory = new Map();
  const isolateClaims = claims({ now: () => clock.now });
  const clock = { now: 1000 };
  const faults: unknown[] = [];
  const background: Promise<unknown>[] = [];
  let broken = false;
  const table: PurgeTable = {
    prepare: (sql) => {
      if (broken) throw new Error("down");
      return tables.prepare(sql);
    },
  };
  const room = (over: PurgeMemory = memory) =>
    purges({
      ...{ table, memory: over, claims: isolateClaims, ttlMs: 100, now: () => clock.now },
      later: (work) => void background.push(work),
      onFault: (error) => void faults.push(error),
    });
  return {
    ...{ room, clock, faults, tables, background },
    breakTable: (how: boolean) => void (broken = how),
    count: () => tables.statements(),
  };
}

test("what a purge is about: its picture, its revision, both together, everything of a partition", async () => {
  const { room, clock } = world();
  const own = "t:ada";
  const purged = async (about: object, partition: "t:ada" | "t:bob" | "public" = own) =>
    (await room().of(partition))(about);
  expect(await purged({ imageId: image, modelRevision: revision })).toBe(-1);
  await room().add({ partition: own, imageId: image, modelRevision: revision });
  expect(await purged({ imageId: image, modelRevision: revision })).toBe(1000);
  expect(await purged({ imageId: image })).toBe(-1);
  expect(await purged({ imageId: image, modelRevision: "1".repeat(16) })).toBe(-1);
  clock.now += 1;
  await room().add({ partition: own, imageId: image, modelRevision: everything });
  expect(await purged({ imageId: image })).toBe(1001);
  expect(await purged({ modelRevision: revision })).toBe(-1);
  clock.now += 1;
  await room().add({ partition: own, imageId: everything, modelRevision: revision });
  expect(await purged({ modelRevision: revision })).toBe(1002);
  expect(await purged({ imageId: image })).toBe(1001);
  clock.now += 1;
  await room().add({ partition: own, imageId: everything, modelRevision: everything });
  expect(await purged({})).toBe(1003);
  expect(await purged({}, "t:bob")).toBe(-1);
  clock.now += 1;
  await room().add({ partition: "*", imageId: image, modelRevision: everything });
  expect(await purged({ imageId: image }, "t:bob")).toBe(1004);
  expect(await purged({ imageId: image })).toBe(1004);
});

test("the table is read once in a while, and before its list is too old in the background", async () => {
  const { room, clock, background, count } = world();
  const elsewhere: PurgeMemory = new Map();
  const purged = async (over?: PurgeMemory) => (await room(over).of("t:ada"))({ imageId: image });
  await purged();
  await purged(elsewhere);
  const before = count();
  for (let index = 0; index < 5; index++) await purged();
  expect(count()).toBe(before);
  await room(elsewhere).add({ partition: "t:ada", imageId: image, modelRevision: everything });
  const added = count();
  expect(await purged()).toBe(-1);
  clock.now += 60;
  expect(await purged()).toBe(-1);
  await purged();
  await Promise.all(background);
  expect(count()).toBe(added + 1);
  expect(await purged()).toBe(1000);
  clock.now += 101;
  expect(await purged()).toBe(1000);
  expect(count()).toBe(added + 2);
});

test("without the table the last list holds; without any list nothing is believed", async () => {
  const { room, clock, faults, breakTable } = world();
  await room().add({ partition: "t:ada", imageId: image, modelRevision: everything });
  await room().of("t:ada");
  breakTable(true);
  clock.now += 1000;
  expect((await room().of("t:ada"))({ imageId: image })).toBe(1000);
  expect((await room().of("t:bob"))({})).toBe(Infinity);
  expect(faults).toHaveLength(2);
  await expect(
    room().add({ partition: "t:ada", imageId: image, modelRevision: everything }),
  ).rejects.toThrow("down");
});

test("more than a thousand deletions become one of all cached marks, and touch nothing else", async () => {
  const { room, tables, clock } = world();
  const rows = () =>
    tables.db.prepare("SELECT image_id, model_revision FROM cache_purges ORDER BY image_id").all();
  const deleted = (imageId: string) =>
    room().add({ partition: "t:ada", imageId, modelRevision: deletedPicture });
  const purged = async (about: About) => (await room().of("t:ada"))(about);
  await room().add({ partition: "t:ada", imageId: image, modelRevision: everything });
  for (let index = 0; index < 1000; index++) await deleted(`img_${index}`);
  expect(rows()).toHaveLength(1001);
  expect(await purged({ imageId: "img_7", modelRevision: revision })).toBe(1000);
  expect(await purged({ imageId: "img_other", isMark: true })).toBe(-1);
  clock.now += 1;
  await deleted("img_last");
  expect(rows()).toMatchObject([
    { image_id: "*", model_revision: deletedPicture },
    { image_id: image, model_revision: everything },
  ]);
  // The marks of all are asked of the store again; results and pixels of the others stand.
  expect(await purged({ imageId: "img_other", isMark: true })).toBe(1001);
  expect(await purged({ imageId: "img_other", modelRevision: revision })).toBe(-1);
  expect(await purged({ imageId: "img_other" })).toBe(-1);
  expect(await purged({ imageId: image })).toBe(1000);
});

test("more than a thousand of one partition become one of all that it holds", async () => {
  const { room, tables, clock } = world();
  const rows = () =>
    tables.db.prepare("SELECT partition FROM cache_purges WHERE partition = 't:ada'").all().length;
  await room().add({ partition: "t:bob", imageId: image, modelRevision: everything });
  for (let index = 0; index < 1000; index++) {
    await room().add({ partition: "t:ada", imageId: `img_${index}`, modelRevision: everything });
  }
  expect(rows()).toBe(1000);
  clock.now += 1;
  await room().add({ partition: "t:ada", imageId: image, modelRevision: everything });
  expect(rows()).toBe(1);
  expect((await room().of("t:ada"))({ imageId: "img_other" })).toBe(1001);
  expect((await room().of("t:bob"))({ imageId: "img_other" })).toBe(-1);
});
