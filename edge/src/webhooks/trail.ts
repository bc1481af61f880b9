// The audit trail of connections (table connection_events): written in the same transaction as what it tells of.
import type { ConnectionEvent, ConnectionEventList } from "@blip2-edge/shared/contracts/deliveries";
import { z } from "zod";
import type { BoundStatement, SqlValue } from "../auth/tables.ts";
import type { JobTables } from "../jobs/tables.ts";

export interface Happened {
  readonly connectionId: string;
  readonly at: number;
  /** A key's id, `sender` or `worker`. */
  readonly who: string;
  readonly what: string;
  readonly assetId?: string;
  readonly subject?: string;
  readonly reason?: string | null;
}

const rowSchema = z.object({
  n: z.number(),
  at: z.number(),
  who: z.string(),
  what: z.string(),
  asset_id: z.string(),
  subject: z.string(),
  reason: z.string().nullable(),
});
const pageSize = 100;

/** A statement that notes it, if `only` (a condition over its own values, from ?8) holds. */
export function noting(
  table: JobTables,
  { connectionId, at, who, what, assetId = "", subject = "", reason = null }: Happened,
  only = "1",
  ...values: SqlValue[]
): BoundStatement {
  return table
    .prepare(
      `INSERT INTO connection_events (connection_id, at, who, what, asset_id, subject, reason)
       SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE ${only}`,
    )
    .bind(connectionId, at, who, what, assetId, subject, reason, ...values);
}

export async function trailOf(
  table: JobTables,
  connectionId: string,
  assetId: string | undefined,
  cursor: string | undefined,
): Promise<ConnectionEventList> {
  const { results } = await table
    .prepare(
      `SELECT ${Object.keys(rowSchema.shape).join(", ")} FROM connection_events
       WHERE connection_id = ?1 AND (?2 = '' OR asset_id = ?2) AND n < ?3 ORDER BY n DESC LIMIT ?4`,
    )
    .bind(connectionId, assetId ?? "", Number(cursor ?? Number.MAX_SAFE_INTEGER), pageSize + 1)
    .all();
  const rows = results.map((row) => rowSchema.parse(row));
  const page = rows.slice(0, pageSize);
  const last = page.at(-1);
  return {
    events: page.map((row): ConnectionEvent => ({
      at: new Date(row.at).toISOString(),
      who: row.who,
      what: row.what,
      asset_id: row.asset_id === "" ? null : row.asset_id,
      subject: row.subject === "" ? null : row.subject,
      reason: row.reason,
    })),
    ...(rows.length > pageSize && last !== undefined ? { cursor: String(last.n) } : {}),
  };
}
