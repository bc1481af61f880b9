import type { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";
import {
  by,
  imageIdOf,
  put,
  recordOf,
  testImageIndex,
  textOf,
} from "../../../test/support/image-index-suite.ts";
import { memoryIndex, type MemoryIndex } from "../../../test/support/memory-index.ts";
import type { ImageIndex } from "./image-index.ts";
import { sqlIndex, type SqlIndex } from "./sql-index.ts";

const open = ({ sql, atomically }: MemoryIndex, maxRecords = 1000): SqlIndex =>
  sqlIndex({ sql, atomically, maxRecords });

/** As the world sees it. */
const waiting = (index: SqlIndex): ImageIndex => ({
  describe: async () => index.describe(),
  configure: async (settings) => index.configure(settings),
  put: async (request) => index.put(request),
  read: async (ids) => index.read(ids),
  list: async (after, limit) => index.list(after, limit),
  newest: async (limit) => index.newest(limit),
  update: async (id, changes, now) => index.update(id, changes, now),
  remove: async (id) => index.remove(id),
  clear: async (most) => index.clear(most),
  rank: async (request) => index.rank(request),
});

testImageIndex("SQLite in memory", async () => {
  return waiting(open(memoryIndex()));
});

test("an index that is opened again knows what it held", async () => {
  const memory = memoryIndex();
  const first = waiting(open(memory));
  for (const picture of [1, 2, 3]) await put(first, recordOf(`p${picture}`, picture), picture);
  const again = open(memory);
  const outcome = again.rank({ by, candidates: 1, maxSimilarity: true, text: textOf(2) });
  expect(outcome).toMatchObject({ kind: "ranked", records: [{ id: "p2" }] });
});

test("averages that lie in blocks are those of the pictures, whatever comes and goes", async () => {
  const memory = memoryIndex();
  const { db } = memory;
  const blocks = () =>
    db
      .prepare("SELECT block FROM mean_blocks")
      .all()
      .map((row) => row["block"]);
  const first = open(memory, 4000);
  const many = waiting(first);
  for (let at = 0; at < 2500; at++) await put(many, recordOf(`p${at}`, at), at % 50);
  const ask = (index: SqlIndex) =>
    index.rank({ by, candidates: 3, maxSimilarity: false, text: textOf(7) });
  expect(blocks()).toEqual([]);
  const found = ask(first);
  // 1023, 1024 and the last, which is never kept.
  expect(blocks()).toEqual([0, 1]);
  expect(ask(open(memory))).toEqual(found);
  await many.remove("p1500");
  expect(blocks()).toEqual([0]);
  const [best] = found.kind === "ranked" ? found.records : [];
  await many.remove(best?.id ?? "");
  expect(blocks()).toEqual([]);
  expect(ask(open(memory))).toEqual(ask(first));
  expect(ask(first)).not.toEqual(found);
  const { records } = await many.describe();
  expect(open(memory).describe()).toMatchObject({ records, pictures: records });
});

test("an index that was made before models tagged anything goes on", async () => {
  const memory = memoryIndex();
  const { db } = memory;
  const before = waiting(open(memory));
  await put(before, recordOf("old", 1, { title: "t" }), 1);
  db.exec("ALTER TABLE records DROP COLUMN auto_tags");
  const now = waiting(open(memory));
  expect(await now.read(["old"])).toMatchObject([{ title: "t", autoTags: [] }]);
  await put(now, recordOf("new", 2, { autoTags: [{ tag: "x", from: "caption" }] }), 2);
  expect(await now.read(["new"])).toMatchObject([{ autoTags: [{ tag: "x", from: "caption" }] }]);
});

test("what fails halfway leaves nothing behind", async () => {
  const memory = memoryIndex();
  let breaks = false;
  const index = waiting(
    open({
      ...memory,
      sql: {
        exec(query, ...values) {
          if (breaks && query.startsWith("INSERT INTO words")) throw new Error("the disk is full");
          return memory.sql.exec(query, ...values);
        },
      },
    }),
  );
  await put(index, recordOf("a", 1), 1);
  await index.rank({ by, candidates: 9, maxSimilarity: true, text: textOf(1) });
  breaks = true;
  await expect(put(index, recordOf("b", 2), 2)).rejects.toThrow("the disk is full");
  breaks = false;
  expect(await index.describe()).toMatchObject({ records: 1, pictures: 1 });
  const outcome = await index.rank({ by, candidates: 9, maxSimilarity: true, text: textOf(2) });
  expect(outcome).toMatchObject({ kind: "ranked", records: [{ id: "a" }] });
});

test("a full index says so, and still takes what it has", async () => {
  const index = waiting(open(memoryIndex(), 1));
  const refusal = { kind: "full", maxRecords: 1 };
  await put(index, recordOf("a", 1), 1);
  expect(await put(index, recordOf("b", 2), 2)).toEqual({ ...refusal, holds: false });
  expect(await put(index, recordOf("b", 1), 1)).toEqual({ ...refusal, holds: true });
  expect(await put(index, recordOf("a", 2), 2)).toMatchObject({ freed: imageIdOf(1) });
});

test("after deleting no table holds a trace of it", async () => {
  const memory = memoryIndex();
  const { db } = memory;
  const index = waiting(open(memory));
  const told = { title: "unmistakable", tags: ["unmistakable"], metadata: { m: "unmistakable" } };
  await put(index, recordOf("gone", 1, { ...told, caption: "unmistakable" }), 1);
  await put(index, recordOf("stays", 2), 2);
  const holds = (): string[] =>
    (db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all() as { name: string }[])
      .filter(({ name }) => JSON.stringify(bytesAsText(db, name)).includes("unmistakable"))
      .map(({ name }) => name);
  expect(holds()).toContain("words_data");
  await index.remove("gone");
  expect(holds()).toEqual([]);
});

const bytesAsText = (db: DatabaseSync, table: string): unknown[] =>
  db
    .prepare(`SELECT * FROM "${table}"`)
    .all()
    .flatMap((row) => Object.values(row))
    .map((value) => (value instanceof Uint8Array ? Buffer.from(value).toString("latin1") : value));
