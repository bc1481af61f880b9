// Brings the local Worker's database up to date, as `wrangler d1 migrations apply` does in production.
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import type { Miniflare } from "miniflare";

export type Database = Awaited<ReturnType<Miniflare["getD1Database"]>>;

const folder = path.resolve(import.meta.dirname, "../../edge/migrations");

/** Applies the migrations that the database has not seen yet. */
export async function migrate(db: Database): Promise<void> {
  await db
    .prepare("CREATE TABLE IF NOT EXISTS d1_migrations (name TEXT PRIMARY KEY, applied_at TEXT)")
    .run();
  const { results } = await db.prepare("SELECT name FROM d1_migrations").all<{ name: string }>();
  const applied = new Set(results.map(({ name }) => name));
  for (const name of (await readdir(folder)).filter((file) => file.endsWith(".sql")).toSorted()) {
    if (applied.has(name)) continue;
    const sql = await readFile(path.join(folder, name), "utf8");
    const statements = sql
      .replaceAll(/^\s*--.*$/gm, "")
      .split(";")
      .map((statement) => statement.trim())
      .filter((statement) => statement !== "");
    await db.batch([
      ...statements.map((statement) => db.prepare(statement)),
      db.prepare("INSERT INTO d1_migrations VALUES (?, datetime('now'))").bind(name),
    ]);
  }
}
