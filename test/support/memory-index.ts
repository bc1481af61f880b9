// The SQLite of a namespace's index in memory, as a Durable Object gives it. Whoever opens it again finds what the one
// before left, as after a restart.
import { DatabaseSync } from "node:sqlite";
import type { IndexSql } from "../../edge/src/search/index-sql.ts";

export interface MemoryIndex {
  readonly db: DatabaseSync;
  readonly sql: IndexSql;
  atomically<Result>(work: () => Result): Result;
}

/** `file`: one that such an object has left. */
export function memoryIndex(file = ":memory:"): MemoryIndex {
  const db = new DatabaseSync(file);
  return {
    db,
    sql: {
      exec(query, ...values) {
        const rows = db.prepare(query).all(...values);
        return { toArray: () => rows };
      },
    },
    atomically(work) {
      db.exec("BEGIN");
      try {
        const result = work();
        db.exec("COMMIT");
        return result;
      } catch (error) {
        db.exec("ROLLBACK");
        throw error;
      }
    },
  };
}
