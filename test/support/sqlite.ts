// SQLite in memory behind the interfaces by which the Worker's rooms know D1 and a Durable Object's SQL,
// so that their statements run in unit tests as they stand.
import { readFileSync, readdirSync } from "node:fs";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { BoundStatement, SqlValue } from "../../edge/src/auth/tables.ts";
import type { JobTables } from "../../edge/src/jobs/tables.ts";
import type { Sql } from "../../edge/src/usage/ledger.ts";

const migrations = path.resolve(import.meta.dirname, "../../edge/migrations");
const migrationFiles = () => readdirSync(migrations).filter((file) => file.endsWith(".sql"));

export interface MemoryTables extends JobTables {
  readonly db: DatabaseSync;
  /** Statements run so far. */
  statements(): number;
}

/** D1 with the Worker's tables; `upTo` stops after that many migrations, `migrate` runs the rest. */
export function memoryTables(upTo?: number): MemoryTables & { migrate(): void } {
  const db = new DatabaseSync(":memory:");
  const files = migrationFiles().toSorted();
  const run = (names: readonly string[]) => {
    for (const name of names) db.exec(readFileSync(path.join(migrations, name), "utf8"));
  };
  run(files.slice(0, upTo));
  let statements = 0;
  const rowsOf = new WeakMap<BoundStatement, () => unknown[]>();
  return {
    db,
    migrate: () => run(upTo === undefined ? [] : files.slice(upTo)),
    statements: () => statements,
    // At one go: nothing comes in between, as in D1.
    batch(bound: BoundStatement[]) {
      db.exec("BEGIN");
      try {
        const results = bound.map((statement) => ({ results: rowsOf.get(statement)?.() ?? [] }));
        db.exec("COMMIT");
        return Promise.resolve(results);
      } catch (error) {
        db.exec("ROLLBACK");
        return Promise.reject(error);
      }
    },
    prepare(sql) {
      const statement = db.prepare(sql);
      const counted = <Result>(result: Result): Promise<Result> => {
        statements += 1;
        return Promise.resolve(result);
      };
      return {
        bind(...values: SqlValue[]) {
          const bound: BoundStatement = {
            first: () => counted<unknown>(statement.get(...values) ?? null),
            all: () => counted({ results: statement.all(...values) }),
            run: () => counted<unknown>(statement.run(...values)),
          };
          rowsOf.set(bound, () => statement.all(...values));
          return bound;
        },
      };
    },
  };
}

/** A Durable Object's SQL. */
export function memorySql(): Sql {
  const db = new DatabaseSync(":memory:");
  return {
    exec(query, ...values) {
      const rows = db.prepare(query).all(...values);
      return { toArray: () => rows.map((row) => ({ ...row })) };
    },
  };
}
