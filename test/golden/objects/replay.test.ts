// What the Durable Objects of every release have left in their storage: today's code opens it and tells what that release
// told; and what today's code makes of it, that release's code could still use, so that a Worker can be rolled back.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { afterAll, describe, expect, test } from "vitest";
import { memoryIndex } from "../../support/memory-index.ts";
import { objectsGoldenSchema, storedObjects, unpacked } from "./stored-objects.ts";

const released = path.join(import.meta.dirname, "released");
const goldens = readdirSync(released).map((name) =>
  objectsGoldenSchema.parse(JSON.parse(readFileSync(path.join(released, name), "utf8"))),
);
const folder = mkdtempSync(path.join(os.tmpdir(), "blip2-objects-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Column {
  readonly name: string;
  readonly type: string;
  readonly notnull: number;
  readonly dflt_value: unknown;
  readonly pk: number;
}
const query = (db: DatabaseSync, sql: string) => db.prepare(sql).all() as Record<string, unknown>[];

/** Of every table; SQLite's own, and those behind an index of words, left out. */
function columnsOf(db: DatabaseSync): Map<string, Map<string, Column>> {
  const tables = query(db, "PRAGMA table_list").filter(
    ({ schema, name, type }) =>
      schema === "main" && type !== "shadow" && !String(name).startsWith("sqlite_"),
  );
  return new Map(
    tables.map(({ name }) => [
      String(name),
      new Map(
        (query(db, `PRAGMA table_info("${String(name)}")`) as unknown as Column[]).map((column) => [
          column.name,
          // Where it stands among the others is no matter.
          { ...column, cid: 0 },
        ]),
      ),
    ]),
  );
}

test("every object that keeps tables is released", () => {
  expect(goldens.map(({ version }) => version)).toContain("0.1.0");
  for (const { objects } of goldens) {
    for (const name of Object.keys(objects)) expect(Object.keys(storedObjects)).toContain(name);
  }
});

describe.each(goldens)("release $version", ({ objects }) => {
  test.each(Object.keys(objects))("what its %s left goes on", async (name) => {
    const { file = "", told } = objects[name] ?? {};
    const memory = unpacked(file, folder);
    const toldNow: unknown = await storedObjects[name]?.goOn(memory);
    expect(JSON.parse(JSON.stringify(toldNow))).toEqual(told);
    memory.db.close();
  });

  test.each(Object.keys(objects))("today's %s has what it would look for", async (name) => {
    const { file = "" } = objects[name] ?? {};
    const left = unpacked(file, folder);
    const then = columnsOf(left.db);
    await storedObjects[name]?.goOn(left);
    const fresh = memoryIndex();
    await storedObjects[name]?.fill(fresh);
    // Opened by today's code, old storage is the same as new storage.
    expect(columnsOf(left.db)).toEqual(columnsOf(fresh.db));
    for (const [table, columns] of then) {
      const now = columnsOf(fresh.db).get(table);
      for (const [column, facts] of columns)
        expect(now?.get(column), `${table}.${column}`).toEqual(facts);
      // It names the columns that it fills, so whatever came since must fill itself.
      for (const [column, { notnull, dflt_value: preset }] of now ?? []) {
        const fillsItself = columns.has(column) || notnull === 0 || preset !== null;
        expect(fillsItself, `${table}.${column}`).toBe(true);
      }
    }
    left.db.close();
  });
});
