// Grants at rest (table oauth_grants): made when a person agrees, prolonged when the client comes for a token,
// listed and ended by the tenant. Which tenant or key may ask is part of every statement, so another's grant is as
// unknown as none at all.
import type { AgentScope, Grant, GrantList } from "@blip2-edge/shared/contracts/grants";
import { AppError } from "@blip2-edge/shared/problem";
import { z } from "zod";
import type { KeyTable, SqlValue } from "../auth/tables.ts";

const time = z.number().nullable();
const recordSchema = z.object({
  id: z.string(),
  tenant: z.string(),
  key_id: z.string(),
  client_id: z.string(),
  client_name: z.string(),
  redirect_host: z.string(),
  scopes: z.string().transform((text) => text.split(" ").filter((entry) => entry !== "")),
  proof: z.enum(["key", "access"]),
  person: z.string().nullable(),
  created_at: z.number(),
  refreshed_at: time,
  expires_at: z.number(),
  revoked_at: time,
});
export type GrantRecord = z.output<typeof recordSchema>;
const columns = Object.keys(recordSchema.shape).join(", ");

export interface NewGrant {
  readonly tenant: string;
  readonly keyId: string;
  readonly clientId: string;
  readonly clientName: string;
  readonly redirectHost: string;
  readonly scopes: readonly AgentScope[];
  readonly proof: Grant["proof"];
  readonly person: string | undefined;
}

/** Whose grants: a tenant's, or all (`*`, which is no tenant's name), and of those one key's. */
export interface GrantsOf {
  readonly tenant: string;
  readonly keyId?: string | undefined;
}

export interface GrantBook {
  /** It ends with the client's code, unless that is redeemed. */
  create(grant: NewGrant): Promise<string>;
  /** While it is neither revoked nor over. */
  live(id: string): Promise<GrantRecord | undefined>;
  /** The client has come for a token. */
  prolong(id: string): Promise<void>;
  list(of: GrantsOf, cursor: string | undefined, limit?: number): Promise<GrantList>;
  /** Throws not_found. */
  revoke(of: GrantsOf, id: string): Promise<Grant>;
  /** The client has given it back; nothing when there is none. */
  end(id: string): Promise<void>;
  /** Forgets what has been over for a while. */
  forgetOld(limit: number): Promise<void>;
}

export interface GrantBookOptions {
  readonly table: KeyTable;
  /** How long a grant lives from its last token on. */
  readonly keepMs: number;
  readonly now?: () => number;
}

/** As long as the library lets a code be redeemed. */
const codeMs = 600_000;
const pageSize = 100;
/** Of one key; who makes more ends the oldest. */
export const maxLiveGrants = 100;
/** How long one that is over can still be listed. */
const tellMs = 30 * 86_400_000;
const ofThose = "(?1 = '*' OR tenant = ?1) AND (?2 IS NULL OR key_id = ?2)";

export function grantBook({ table, keepMs, now = Date.now }: GrantBookOptions): GrantBook {
  const prepared = (sql: string, ...values: SqlValue[]) => table.prepare(sql).bind(...values);
  return {
    async create(grant) {
      const id = `grt_${crypto.randomUUID().replaceAll("-", "")}`;
      const at = now();
      const row: Record<string, SqlValue> = {
        ...{ id, tenant: grant.tenant, key_id: grant.keyId, client_id: grant.clientId },
        ...{ client_name: grant.clientName, redirect_host: grant.redirectHost },
        ...{ scopes: grant.scopes.join(" "), proof: grant.proof, person: grant.person ?? null },
        ...{ created_at: at, expires_at: at + codeMs },
      };
      const names = Object.keys(row);
      await prepared(
        `INSERT INTO oauth_grants (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`,
        ...Object.values(row),
      ).run();
      await prepared(
        `UPDATE oauth_grants SET revoked_at = ?2 WHERE id IN
         (SELECT id FROM oauth_grants WHERE key_id = ?1 AND revoked_at IS NULL AND expires_at > ?2
          ORDER BY rowid DESC LIMIT -1 OFFSET ?3)`,
        ...[grant.keyId, at, maxLiveGrants],
      ).run();
      return id;
    },

    async live(id) {
      const row = await prepared(
        `SELECT ${columns} FROM oauth_grants WHERE id = ?1 AND revoked_at IS NULL AND expires_at > ?2`,
        ...[id, now()],
      ).first();
      return row === null ? undefined : recordSchema.parse(row);
    },

    async prolong(id) {
      const at = now();
      await prepared(
        "UPDATE oauth_grants SET refreshed_at = ?2, expires_at = ?3 WHERE id = ?1 AND revoked_at IS NULL",
        ...[id, at, at + keepMs],
      ).run();
    },

    async list({ tenant, keyId }, cursor, limit = pageSize) {
      const { results } = await prepared(
        `SELECT ${columns}, rowid AS page FROM oauth_grants WHERE ${ofThose} AND rowid > ?3 ORDER BY rowid LIMIT ?4`,
        ...[tenant, keyId ?? null, Number(cursor ?? 0), limit + 1],
      ).all();
      const page = results.slice(0, limit);
      const last = page.at(-1) as { readonly page: number } | undefined;
      return {
        grants: page.map((row) => grantOf(recordSchema.parse(row))),
        ...(results.length > limit && last !== undefined ? { cursor: String(last.page) } : {}),
      };
    },

    async revoke({ tenant, keyId }, id) {
      const row = await prepared(
        `UPDATE oauth_grants SET revoked_at = coalesce(revoked_at, ?4) WHERE ${ofThose} AND id = ?3 RETURNING ${columns}`,
        ...[tenant, keyId ?? null, id, now()],
      ).first();
      if (row === null) throw new AppError("not_found", "There is no grant with this id.");
      return grantOf(recordSchema.parse(row));
    },

    async end(id) {
      await prepared(
        "UPDATE oauth_grants SET revoked_at = coalesce(revoked_at, ?2) WHERE id = ?1",
        ...[id, now()],
      ).run();
    },

    async forgetOld(limit) {
      await prepared(
        `DELETE FROM oauth_grants WHERE id IN
         (SELECT id FROM oauth_grants WHERE expires_at <= ?1 LIMIT ?2)`,
        ...[now() - tellMs, limit],
      ).run();
    },
  };
}

const written = (at: number): string => new Date(at).toISOString();

const grantOf = (record: GrantRecord): Grant => ({
  ...record,
  created_at: written(record.created_at),
  refreshed_at: record.refreshed_at === null ? null : written(record.refreshed_at),
  expires_at: written(record.expires_at),
  revoked_at: record.revoked_at === null ? null : written(record.revoked_at),
});
