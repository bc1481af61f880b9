// Keys made, listed, changed, rotated and revoked, always within one tenant or, for operators, all of
// them: the tenant is part of every statement, so a key of another tenant is as unknown as none at all.
import {
  defaultOverlapS,
  type CreateKeyRequest,
  type Key,
  type KeyList,
  type KeyWithSecret,
  type UpdateKeyRequest,
} from "@blip2-edge/shared/contracts/keys";
import { invalidRequest } from "@blip2-edge/shared/contracts/refuse";
import { AppError } from "@blip2-edge/shared/problem";
import { createApiKey, isApiKeyId, type RandomBytes } from "./api-key.ts";
import { keyOf, recordColumns, recordSchema, type KeyRecord } from "./key-record.ts";
import type { KeyTable, SqlValue } from "./tables.ts";

/** One tenant's keys, by its name, or every tenant's: `*`, which is no tenant's name. */
export type Within = string;

export interface KeyBookOptions {
  readonly table: KeyTable;
  /** Told of a key that has changed. */
  readonly changed: (id: string) => void;
  readonly now?: () => number;
  readonly randomBytes?: RandomBytes;
}

export interface KeyBook {
  create(request: Omit<CreateKeyRequest, "tenant">, tenant: string): Promise<KeyWithSecret>;
  list(within: Within, cursor: string | undefined, limit?: number): Promise<KeyList>;
  read(within: Within, id: string): Promise<Key>;
  update(within: Within, request: UpdateKeyRequest): Promise<Key>;
  rotate(within: Within, id: string, overlapS?: number): Promise<KeyWithSecret>;
  revoke(within: Within, id: string): Promise<Key>;
}

const pageSize = 100;
const unknownKey = (): AppError => new AppError("not_found", "There is no key with this id.");
const where = "id = ?1 AND (?2 = '*' OR tenant = ?2)";

/** Methods that name a key throw not_found. */
export function keyBook({ table, changed, now = Date.now, randomBytes }: KeyBookOptions): KeyBook {
  const one = async (sql: string, ...values: SqlValue[]): Promise<KeyRecord> => {
    const row = await table
      .prepare(`${sql} RETURNING ${recordColumns}`)
      .bind(...values)
      .first();
    if (row === null) throw unknownKey();
    const record = recordSchema.parse(row);
    changed(record.id);
    return record;
  };
  const find = async (within: Within, id: string): Promise<KeyRecord> => {
    const row = await table
      .prepare(`SELECT ${recordColumns} FROM api_keys WHERE ${where}`)
      .bind(id, within)
      .first();
    if (row === null) throw unknownKey();
    return recordSchema.parse(row);
  };

  return {
    async create(request, tenant) {
      const { key, id, prefix, hash } = await createApiKey(randomBytes);
      const columns: Record<string, SqlValue> = {
        ...{ id, prefix, tenant, secret_hash: hash, created_at: now() },
        ...settable({ ...request, scopes: request.scopes ?? ["infer"] }),
      };
      const names = Object.keys(columns);
      const record = await one(
        `INSERT INTO api_keys (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`,
        ...Object.values(columns),
      );
      return { key, ...keyOf(record) };
    },

    async list(within, cursor, limit = pageSize) {
      const { results } = await table
        .prepare(
          `SELECT ${recordColumns}, rowid AS page FROM api_keys WHERE (?1 = '*' OR tenant = ?1) AND rowid > ?2 ORDER BY rowid LIMIT ?3`,
        )
        .bind(within, Number(cursor ?? 0), limit + 1)
        .all();
      const page = results.slice(0, limit);
      const last = page.at(-1) as { readonly page: number } | undefined;
      return {
        keys: page.map((row) => keyOf(recordSchema.parse(row))),
        ...(results.length > limit && last !== undefined ? { cursor: String(last.page) } : {}),
      };
    },

    read: async (within, id) => keyOf(await find(within, id)),

    async update(within, { id, ...fields }) {
      const columns = Object.entries(settable(fields));
      if (columns.length === 0) return keyOf(await find(within, id));
      const set = columns.map(([name], index) => `${name} = ?${index + 3}`).join(", ");
      const values = columns.map(([, value]) => value);
      return keyOf(await one(`UPDATE api_keys SET ${set} WHERE ${where}`, id, within, ...values));
    },

    async rotate(within, id, overlapS = defaultOverlapS) {
      const { revoked_at: revokedAt } = await find(within, id);
      if (revokedAt !== null || !isApiKeyId(id)) {
        const why = revokedAt === null ? "was chosen by hand" : "was revoked";
        throw invalidRequest([{ field: "id", message: `names a key that ${why}` }]);
      }
      const { key, hash } = await createApiKey(randomBytes, id);
      // At most two secrets live: a third ends the time of the first. What was revoked stays so.
      const record = await one(
        `UPDATE api_keys SET previous_hash = secret_hash, previous_until = ?4, secret_hash = ?3 WHERE ${where}`,
        ...[id, within, hash, now() + overlapS * 1000],
      );
      return { key, ...keyOf(record) };
    },

    revoke: async (within, id) =>
      keyOf(
        await one(
          `UPDATE api_keys SET revoked_at = coalesce(revoked_at, ?3) WHERE ${where}`,
          ...[id, within, now()],
        ),
      ),
  };
}

/** The columns of what a request names; what it leaves out is left out. */
function settable(fields: Omit<UpdateKeyRequest, "id">): Record<string, SqlValue> {
  const { name, scopes, limits = {}, fetch_allow, no_store, expires_at } = fields;
  const given: Record<string, SqlValue | undefined> = {
    name,
    scopes: scopes === undefined ? undefined : [...new Set(scopes)].join(" "),
    requests_per_minute: limits.requests_per_minute,
    inferences_per_day: limits.inferences_per_day,
    inferences_per_month: limits.inferences_per_month,
    concurrency: limits.concurrency,
    fetch_allow: fetch_allow?.join(" "),
    no_store: no_store === undefined ? undefined : Number(no_store),
    expires_at: typeof expires_at === "string" ? Date.parse(expires_at) : expires_at,
  };
  return Object.fromEntries(
    Object.entries(given).filter((entry): entry is [string, SqlValue] => entry[1] !== undefined),
  );
}
