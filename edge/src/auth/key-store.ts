// Keys at rest (table api_keys) with a short memory per isolate, so that not every request asks D1.
import { recordColumns, recordSchema, type KeyRecord } from "./key-record.ts";
import type { KeyTable } from "./tables.ts";

/** Plain data, kept for the life of an isolate; bounded. */
export interface KeyMemory {
  readonly entries: Map<string, { readonly record: KeyRecord; readonly until: number }>;
}
export const keyMemory = (): KeyMemory => ({ entries: new Map() });
const maxRemembered = 1000;
/** `last_used_at` is exact to this: an isolate writes it no more often. */
const usedEveryMs = 60_000;

export interface KeyStoreOptions {
  readonly table: KeyTable;
  readonly memory: KeyMemory;
  readonly ttlMs: number;
  readonly now?: () => number;
}

export interface KeyStore {
  /** From memory while it is young; `fresh` reads the table. */
  find(id: string, fresh?: boolean): Promise<KeyRecord | undefined>;
  /** Whether the last `find` of this id may be older than the table. */
  remembers(id: string): boolean;
  /** A key that was just changed is read anew, here at once, elsewhere when its memory is old. */
  forget(id: string): void;
  /** Writes down that a key is in use; undefined when that was done within the last minute. */
  noteUse(id: string): Promise<unknown> | undefined;
}

/** Looks keys up by id. Unknown ids are not remembered: that memory would be the caller's to fill. */
export function keyStore({ table, memory, ttlMs, now = Date.now }: KeyStoreOptions): KeyStore {
  const { entries } = memory;
  const young = (id: string) => {
    const known = entries.get(id);
    return known !== undefined && known.until > now() ? known : undefined;
  };
  return {
    remembers: (id) => young(id) !== undefined,
    forget: (id) => void entries.delete(id),
    async find(id, fresh = false) {
      const known = fresh ? undefined : young(id);
      if (known !== undefined) return known.record;
      const row = await table
        .prepare(`SELECT ${recordColumns} FROM api_keys WHERE id = ?`)
        .bind(id)
        .first();
      entries.delete(id);
      if (row === null) return undefined;
      const record = recordSchema.parse(row);
      if (entries.size >= maxRemembered) {
        const oldest = entries.keys().next();
        if (!oldest.done) entries.delete(oldest.value);
      }
      entries.set(id, { record, until: now() + ttlMs });
      return record;
    },
    noteUse(id) {
      const known = entries.get(id);
      const at = now();
      if (known === undefined || at - (known.record.last_used_at ?? 0) < usedEveryMs) return;
      entries.set(id, { ...known, record: { ...known.record, last_used_at: at } });
      return table
        .prepare(
          "UPDATE api_keys SET last_used_at = max(coalesce(last_used_at, 0), ?) WHERE id = ?",
        )
        .bind(at, id)
        .run();
    },
  };
}
