// Backfills in D1, as people see them: made, read, halted and ended; one that is open of a connection. Their steps are in
// backfill-steps.ts, their pictures rows of the inbox (delivery-store.ts), where a picture is one row whoever told of it.
import { defaultRate, type CreateBackfillRequest } from "@blip2-edge/shared/contracts/backfills";
import { AppError } from "@blip2-edge/shared/problem";
import { z } from "zod";
import type { SqlValue } from "../auth/tables.ts";
import type { JobTables } from "../jobs/tables.ts";
import {
  backfillColumns,
  backfillRecordSchema,
  countsOf,
  type BackfillRecord,
  type DeliveryCounts,
} from "./backfill-record.ts";
import type { Explained } from "./reasons.ts";
import { noting } from "./trail.ts";

export interface BackfillStore {
  /** The same id again changes nothing and gives the same one. `who`: the key. Throws backfill_open. */
  create(
    id: string,
    tenant: string,
    who: string,
    request: CreateBackfillRequest,
  ): Promise<BackfillRecord>;
  /** Throws not_found. */
  read(tenant: string, id: string): Promise<BackfillRecord>;
  list(
    tenant: string,
    connection: string | undefined,
    cursor: string | undefined,
  ): Promise<{ readonly records: readonly BackfillRecord[]; readonly cursor: string | undefined }>;
  /** How many deliveries of each are in which state. */
  standing(ids: readonly string[]): Promise<ReadonlyMap<string, DeliveryCounts>>;
  /** What waits in the inbox waits in the list again. What is over stays so. */
  pause(id: string, who: string, why: Explained): Promise<BackfillRecord>;
  resume(id: string, who: string, rate: number | undefined): Promise<BackfillRecord>;
  /** What was not begun is forgotten: whoever tells of it later is heard. `lease`: only while this step holds it. */
  end(
    id: string,
    state: "done" | "cancelled" | "failed",
    who: string,
    why: Explained | undefined,
    lease?: string,
  ): Promise<BackfillRecord>;
}

const pageSize = 20;
const standingSchema = z.array(
  z.object({ backfill: z.string(), state: z.string(), n: z.number() }),
);
const idSchema = z.object({ id: z.string() }).nullable();

/** Into the list again: what is in the inbox and nobody has begun. ?1: the backfill. */
export const takeBack = `UPDATE deliveries SET state = 'listed', due_at = NULL
  WHERE backfill = ?1 AND state = 'received' AND bulk = 1 AND lease IS NULL AND attempts = 0`;

export function backfillStore({
  table,
  now = Date.now,
}: {
  readonly table: JobTables;
  readonly now?: () => number;
}): BackfillStore {
  const prepared = (sql: string, ...values: SqlValue[]) => table.prepare(sql).bind(...values);
  const unknownBackfill = () => new AppError("not_found", "There is no backfill with this id.");
  async function find(id: string): Promise<BackfillRecord | undefined> {
    const row = await prepared(`SELECT ${backfillColumns} FROM backfills WHERE id = ?`, id).first();
    return row === null ? undefined : backfillRecordSchema.parse(row);
  }
  async function found(id: string): Promise<BackfillRecord> {
    const record = await find(id);
    if (record === undefined) throw unknownBackfill();
    return record;
  }

  const store: BackfillStore = {
    async create(id, tenant, who, request) {
      const { connection, pictures = "untitled", rate = defaultRate, limit } = request;
      const { dry_run: isDry = false } = request;
      const at = now();
      await table.batch([
        prepared(
          `INSERT INTO backfills (id, connection_id, tenant, started_by, pictures, dry_run, rate, most, state,
             due_at, created_at)
           VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'running', ?9, ?9) ON CONFLICT DO NOTHING`,
          ...[id, connection, tenant, who, pictures, Number(isDry), rate, limit ?? null, at],
        ),
        noting(
          table,
          { connectionId: connection, at, who, what: "backfill_started", subject: id },
          "EXISTS (SELECT 1 FROM backfills WHERE id = ?6 AND created_at = ?2)",
        ),
      ]);
      const made = await find(id);
      if (made !== undefined) return made;
      const open = await prepared(
        "SELECT id FROM backfills WHERE connection_id = ? AND ended_at IS NULL",
        connection,
      ).first();
      const other = idSchema.parse(open)?.id ?? "one of a moment ago";
      throw new AppError(
        "backfill_open",
        `The connection's backfill ${other} is not over. Wait for it, or cancel it.`,
      );
    },

    async read(tenant, id) {
      const record = await found(id);
      if (record.tenant !== tenant) throw unknownBackfill();
      return record;
    },

    async list(tenant, connection, cursor) {
      const { results } = await prepared(
        `SELECT ${backfillColumns}, rowid AS page FROM backfills WHERE tenant = ?1
         AND (?2 = '' OR connection_id = ?2) AND rowid < ?3 ORDER BY rowid DESC LIMIT ?4`,
        ...[tenant, connection ?? "", Number(cursor ?? Number.MAX_SAFE_INTEGER), pageSize + 1],
      ).all();
      const page = results.slice(0, pageSize);
      const last = page.at(-1) as { readonly page: number } | undefined;
      return {
        records: page.map((row) => backfillRecordSchema.parse(row)),
        cursor: results.length > pageSize && last !== undefined ? String(last.page) : undefined,
      };
    },

    async standing(ids) {
      const { results } = await prepared(
        `SELECT backfill, state, count(*) AS n FROM deliveries
         WHERE backfill IN (SELECT value FROM json_each(?1)) GROUP BY backfill, state`,
        JSON.stringify(ids),
      ).all();
      const counts = new Map<string, Record<string, number>>(ids.map((id) => [id, {}]));
      for (const { backfill, state, n } of standingSchema.parse(results)) {
        Object.assign(counts.get(backfill) ?? {}, { [state]: n });
      }
      return counts;
    },

    async pause(id, who, { reason, detail }) {
      const record = await found(id);
      const about = { connectionId: record.connection_id, at: now(), who, subject: id, reason };
      await table.batch([
        noting(
          table,
          { ...about, what: "backfill_paused" },
          "EXISTS (SELECT 1 FROM backfills WHERE id = ?6 AND state = 'running')",
        ),
        prepared(
          `${takeBack} AND EXISTS (SELECT 1 FROM backfills WHERE id = ?1 AND state = 'running')`,
          id,
        ),
        prepared(
          `UPDATE backfills SET state = 'paused', reason = ?2, detail = ?3, next_at = 0, due_at = NULL, lease = NULL
           WHERE id = ?1 AND state = 'running'`,
          ...[id, reason, detail],
        ),
      ]);
      return found(id);
    },

    async resume(id, who, rate) {
      const { connection_id: connectionId } = await found(id);
      const at = now();
      await table.batch([
        noting(
          table,
          { connectionId, at, who, what: "backfill_resumed", subject: id },
          "EXISTS (SELECT 1 FROM backfills WHERE id = ?6 AND state = 'paused')",
        ),
        // What holds up the whole connection is tried again at once.
        prepared(
          `UPDATE connections SET paused_until = 0 WHERE id = ?2
           AND EXISTS (SELECT 1 FROM backfills WHERE id = ?1 AND ended_at IS NULL)`,
          ...[id, connectionId],
        ),
        prepared(
          `UPDATE deliveries SET due_at = ?2 WHERE backfill = ?1 AND state = 'queued' AND lease IS NULL AND due_at > ?2`,
          ...[id, at],
        ),
        prepared(
          `UPDATE backfills SET state = 'running', rate = coalesce(?3, rate), attempts = 0, reason = NULL, detail = NULL,
             due_at = iif(lease IS NULL, ?2, due_at) WHERE id = ?1 AND ended_at IS NULL`,
          ...[id, at, rate ?? null],
        ),
      ]);
      return found(id);
    },

    async end(id, state, who, why, lease = "") {
      const record = await found(id);
      const counts = countsOf(record, (await store.standing([id])).get(id) ?? {});
      const about = { connectionId: record.connection_id, at: now(), who, subject: id };
      const isOpen = "ended_at IS NULL AND ?2 IN ('', lease)";
      const ours = `EXISTS (SELECT 1 FROM backfills WHERE id = ?1 AND ${isOpen})`;
      await table.batch([
        noting(
          table,
          { ...about, what: `backfill_${state}`, reason: why?.reason ?? null },
          "EXISTS (SELECT 1 FROM backfills WHERE id = ?6 AND ended_at IS NULL AND ?8 IN ('', lease))",
          lease,
        ),
        prepared(`${takeBack} AND ${ours}`, id, lease),
        prepared(
          `DELETE FROM deliveries WHERE backfill = ?1 AND state = 'listed' AND ${ours}`,
          ...[id, lease],
        ),
        prepared(
          `UPDATE backfills SET state = ?3, reason = ?4, detail = ?5, ended_at = ?6, counts = ?7, listing = 0,
             due_at = NULL, lease = NULL WHERE id = ?1 AND ${isOpen}`,
          ...[id, lease, state, why?.reason ?? null, why?.detail ?? null],
          ...[about.at, JSON.stringify(counts)],
        ),
      ]);
      return found(id);
    },
  };
  return store;
}
