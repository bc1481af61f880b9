// Every migration of D1 goes forward and back: up all the way with a row in every table, then down step by step, each
// step up and down again. A step back leaves the schema as it was before, and every row that is not the step's own.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect, test } from "vitest";

const folder = path.resolve(import.meta.dirname, "../migrations");
const namesIn = (where: string): string[] =>
  readdirSync(where)
    .filter((name) => name.endsWith(".sql"))
    .toSorted();
const names = namesIn(folder);
const textOf = (...parts: string[]): string => readFileSync(path.join(folder, ...parts), "utf8");

type Row = Record<string, unknown>;
interface Column {
  readonly name: string;
  readonly type: string;
}
const query = (db: DatabaseSync, sql: string): Row[] =>
  db
    .prepare(sql)
    .all()
    .map((row) => ({ ...row }));
const columnsOf = (db: DatabaseSync, table: string): Column[] =>
  query(db, `PRAGMA table_info("${table}")`) as unknown as Column[];
const tablesOf = (db: DatabaseSync): string[] =>
  query(
    db,
    `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`,
  )
    .map(({ name }) => String(name))
    .filter((name) => name !== "d1_migrations");

/** Tables, indices and what else there is; how it is spaced is no matter. */
const schemaOf = (db: DatabaseSync) => ({
  entries: query(
    db,
    "SELECT type, name, sql FROM sqlite_master WHERE name <> 'sqlite_sequence' ORDER BY type, name",
  ).map(({ sql, ...entry }) => ({ ...entry, sql: String(sql).replaceAll(/\s+/g, "") })),
  columns: tablesOf(db).map((table) => columnsOf(db, table)),
});

const madeUp: Readonly<Record<string, string | number>> = { TEXT: "x", INTEGER: 7, REAL: 0.5 };

/** A row in every table that has none. */
function fill(db: DatabaseSync): void {
  for (const table of tablesOf(db)) {
    if (query(db, `SELECT 1 FROM "${table}"`).length > 0) continue;
    const columns = columnsOf(db, table);
    const values = columns.map(({ name, type }) => {
      const value = madeUp[type];
      if (value === undefined) throw new Error(`${table}.${name}: no value for ${type}`);
      return value;
    });
    db.prepare(`INSERT INTO "${table}" VALUES (${values.map(() => "?").join(", ")})`).run(
      ...values,
    );
  }
}

/** What both hold, of the columns that both have. */
function kept(db: DatabaseSync, other: ReadonlyMap<string, readonly Row[]>): Map<string, Row[]> {
  const rows = new Map<string, Row[]>();
  for (const [table, theirs] of other) {
    const known = columnsOf(db, table).map(({ name }) => name);
    if (known.length === 0) continue;
    const shared = Object.keys(theirs[0] ?? {}).filter((name) => known.includes(name));
    rows.set(table, query(db, `SELECT ${shared.join(", ")} FROM "${table}"`));
  }
  return rows;
}
const rowsOf = (db: DatabaseSync): Map<string, Row[]> =>
  new Map(tablesOf(db).map((table) => [table, query(db, `SELECT * FROM "${table}"`)]));

function up(db: DatabaseSync, name: string): void {
  db.exec(textOf(name));
  db.prepare("INSERT INTO d1_migrations (name) VALUES (?)").run(name);
}
const down = (db: DatabaseSync, name: string): void => db.exec(textOf("down", name));

test("every migration has its way back, which says what it loses", () => {
  expect(namesIn(path.join(folder, "down"))).toEqual(names);
  for (const name of names) {
    expect(textOf("down", name), name).toMatch(/^-- Loses: \S/);
    // As wrangler and the local stack note what was applied.
    expect(textOf("down", name), name).toContain(
      `\nDELETE FROM d1_migrations WHERE name = '${name}';`,
    );
  }
});

test("a migration takes nothing away that the Worker before it asks for", () => {
  for (const name of names) {
    expect(textOf(name).replaceAll(/--.*$/gm, ""), name).not.toMatch(/\b(DROP|RENAME)\b/i);
  }
});

test("up, down and up again, step by step, with rows in", () => {
  const db = new DatabaseSync(":memory:");
  db.exec("CREATE TABLE d1_migrations (id INTEGER PRIMARY KEY, name TEXT UNIQUE)");
  const before: ReturnType<typeof schemaOf>[] = [];
  for (const name of names) {
    before.push(schemaOf(db));
    up(db, name);
    fill(db);
  }
  expect(tablesOf(db).length).toBeGreaterThan(8);
  for (const [at, name] of [...names.entries()].toReversed()) {
    const after = schemaOf(db);
    const rows = rowsOf(db);
    down(db, name);
    expect(schemaOf(db), `${name} down`).toEqual(before[at]);
    const left = rowsOf(db);
    expect(left, `${name} down`).toEqual(kept(db, rows));
    for (const found of left.values()) expect(found, `${name} down`).toHaveLength(1);
    up(db, name);
    expect(schemaOf(db), `${name} up again`).toEqual(after);
    expect(kept(db, left), `${name} up again`).toEqual(left);
    down(db, name);
    expect(schemaOf(db), `${name} down again`).toEqual(before[at]);
  }
  expect(tablesOf(db)).toEqual([]);
  expect(query(db, "SELECT name FROM d1_migrations")).toEqual([]);
});
