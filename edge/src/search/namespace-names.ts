// Under which names a tenant has put pictures, by name, so that they can be listed and completed: an index is found
// by its name alone. A name is noted once a record is there and forgotten when none is; the index is the truth.
import { z } from "zod";

/** What this room needs of D1. */
export interface NameTable {
  prepare(sql: string): {
    bind(...values: (string | number)[]): {
      all(): Promise<{ readonly results: readonly unknown[] }>;
      run(): Promise<unknown>;
    };
  };
}

export interface NamesAsked {
  /** How the names begin; empty for all. */
  readonly prefix: string;
  /** The last name of the page before; empty for the first. */
  readonly after: string;
  readonly limit: number;
}

export interface NamespaceNames {
  note(tenant: string, namespace: string): Promise<void>;
  forget(tenant: string, namespace: string): Promise<void>;
  list(tenant: string, asked: NamesAsked): Promise<string[]>;
}

const rowSchema = z.object({ name: z.string() });
/** Behind every character that a name may have. */
const behindAll = "~";

export function namespaceNames(table: NameTable): NamespaceNames {
  const run = async (sql: string, ...values: string[]): Promise<void> => {
    await table
      .prepare(sql)
      .bind(...values)
      .run();
  };
  return {
    note: (tenant, namespace) =>
      run("INSERT OR IGNORE INTO namespaces (tenant, name) VALUES (?, ?)", tenant, namespace),
    forget: (tenant, namespace) =>
      run("DELETE FROM namespaces WHERE tenant = ? AND name = ?", tenant, namespace),
    async list(tenant, { prefix, after, limit }) {
      const { results } = await table
        .prepare(
          "SELECT name FROM namespaces WHERE tenant = ? AND name >= ? AND name < ? AND name > ? ORDER BY name LIMIT ?",
        )
        .bind(tenant, prefix, `${prefix}${behindAll}`, after, limit)
        .all();
      return results.map((row) => rowSchema.parse(row).name);
    },
  };
}
