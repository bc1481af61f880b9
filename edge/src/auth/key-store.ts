// Keys at rest (table api_keys) with a short memory per isolate, so that not every request asks D1.
import { z } from "zod";

const recordSchema = z.object({
  id: z.string(),
  secret_hash: z.string(),
  tenant: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/),
  expires_at: z.number().nullable(),
  revoked_at: z.number().nullable(),
});
export type KeyRecord = z.infer<typeof recordSchema>;

/** What this room needs of D1. */
export interface KeyTable {
  prepare(sql: string): { bind(...values: string[]): { first(): Promise<unknown> } };
}

/** Plain data, kept for the life of an isolate; bounded. */
export interface KeyMemory {
  readonly entries: Map<string, { readonly record: KeyRecord; readonly until: number }>;
}
export const keyMemory = (): KeyMemory => ({ entries: new Map() });
const maxRemembered = 1000;

export interface KeyStoreOptions {
  readonly table: KeyTable;
  readonly memory: KeyMemory;
  readonly ttlMs: number;
  readonly now?: () => number;
}

export type FindKey = (id: string) => Promise<KeyRecord | undefined>;

/** Looks a key up by id. Unknown ids are not remembered: that memory would be the caller's to fill. */
export function keyStore({ table, memory, ttlMs, now = Date.now }: KeyStoreOptions): FindKey {
  return async (id) => {
    const known = memory.entries.get(id);
    if (known !== undefined && known.until > now()) return known.record;
    const row = await table
      .prepare("SELECT id, secret_hash, tenant, expires_at, revoked_at FROM api_keys WHERE id = ?")
      .bind(id)
      .first();
    memory.entries.delete(id);
    if (row === null) return undefined;
    const record = recordSchema.parse(row);
    if (memory.entries.size >= maxRemembered) {
      const oldest = memory.entries.keys().next();
      if (!oldest.done) memory.entries.delete(oldest.value);
    }
    memory.entries.set(id, { record, until: now() + ttlMs });
    return record;
  };
}
