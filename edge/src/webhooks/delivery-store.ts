// The inbox in D1. What is delivered twice is one row, whatever the sender calls it: by its delivery and by its
// asset's version. A row is claimed with a lease, one of an asset at a time; only who holds it may settle it, and
// a lease is a due time like any other: when it is over, the row is anyone's again.
import type { DeliveryList, DeliveryState } from "@blip2-edge/shared/contracts/deliveries";
import { AppError } from "@blip2-edge/shared/problem";
import { z } from "zod";
import type { SqlValue } from "../auth/tables.ts";
import type { JobTables } from "../jobs/tables.ts";
import type { Notice } from "./adapter.ts";
import {
  deliveryColumns,
  deliveryOf,
  deliveryRecordSchema,
  type DeliveryRecord,
} from "./delivery-record.ts";
import { because, type Explained } from "./reasons.ts";
import { noting } from "./trail.ts";

export interface Received {
  /** Rows that are new. */
  readonly received: number;
  /** Notices of what was known. */
  readonly known: number;
  /** Of these, those whose turn in a backfill had not come: it is now. */
  readonly woken: number;
}

export type Over = Extract<DeliveryState, "written" | "suggested" | "skipped" | "failed" | "dead">;

export interface Claim {
  readonly connectionId: string;
  /** The most rows to take, and the most that may be worked on; one of these places is for what comes in fresh. */
  readonly want: number;
  readonly atOnce: number;
  readonly leaseMs: number;
}

/** How things stand in a connection's inbox. */
export interface Standing {
  /** When the next row that nobody works on may be tried; undefined: there is none. */
  readonly nextDueAt: number | undefined;
  /** Rows under a lease that is not over. */
  readonly running: number;
}

export interface DeliveryStore {
  /** `from`: the digest of the body, or `sweep`, which gives what is dead another chance. */
  receive(connectionId: string, notices: readonly Notice[], from: string): Promise<Received>;
  claim(claim: Claim): Promise<readonly DeliveryRecord[]>;
  /** Its version turned out to be this one. False: another row has it already. */
  adoptVersion(delivery: DeliveryRecord, version: string): Promise<boolean>;
  /** Its words are made and kept: what is left is to write them. */
  described(delivery: DeliveryRecord): Promise<void>;
  settle(delivery: DeliveryRecord, state: Over, why: Explained | undefined): Promise<void>;
  /** To be tried after `afterMs`; the attempt counts unless `free`. */
  putBack(
    delivery: DeliveryRecord,
    afterMs: number,
    free: boolean,
    why: Explained | undefined,
  ): Promise<void>;
  /** Works on a row that is over once more. `who`: the key. Throws not_found. */
  replay(connectionId: string, id: string, who: string): Promise<DeliveryRecord>;
  /** Works once more on all that died of this. */
  revive(connectionId: string, reason: string): Promise<void>;
  list(
    connectionId: string,
    where: { readonly state?: string | undefined; readonly assetId?: string | undefined },
    cursor: string | undefined,
  ): Promise<DeliveryList>;
  standing(connectionId: string): Promise<Standing>;
  /** Connections with something due since `before`. */
  overdue(before: number, limit: number): Promise<readonly string[]>;
  /** Drops what only told that there was nothing to do, and the trail, from before `before`. */
  forget(before: number, limit: number): Promise<void>;
}

const pageSize = 100;
export const maxIdCharacters = 200;
const idsSchema = z.array(z.object({ id: z.string() }));
const dueSchema = z.array(
  z.object({ due_at: z.number().nullable(), backfill: z.string().nullable() }),
);
const standingSchema = z.object({
  paused_until: z.number(),
  next_due_at: z.number().nullable(),
  running: z.number(),
});

/** Under a lease that is not over. */
const leased = "FROM deliveries WHERE connection_id = ?1 AND lease IS NOT NULL AND due_at > ?3";

/** Rows that are due, fresh or in bulk, whose asset nobody works on and no other row of it is before. */
const claimable = (bulk: 0 | 1): string =>
  `SELECT id, bulk, due_at, rowid AS nth FROM deliveries AS one
   WHERE connection_id = ?1 AND due_at <= ?3 AND bulk = ${bulk}
   AND NOT EXISTS (SELECT 1 FROM deliveries AS other
     WHERE other.connection_id = ?1 AND other.asset_id = one.asset_id AND other.due_at IS NOT NULL
     AND ((other.lease IS NOT NULL AND other.due_at > ?3)
       OR (other.due_at <= ?3 AND (other.bulk, other.rowid) < (one.bulk, one.rowid))))
   ORDER BY due_at, rowid`;

export interface DeliveryStoreOptions {
  readonly table: JobTables;
  readonly now?: () => number;
  readonly newId?: () => string;
}

const hexId = (): string => crypto.randomUUID().replaceAll("-", "");

export function deliveryStore(options: DeliveryStoreOptions): DeliveryStore {
  const { table, now = Date.now, newId = hexId } = options;
  const prepared = (sql: string, ...values: SqlValue[]) => table.prepare(sql).bind(...values);
  const rowsOf = async (sql: string, ...values: SqlValue[]): Promise<DeliveryRecord[]> =>
    z.array(deliveryRecordSchema).parse((await prepared(sql, ...values).all()).results);
  const mine = "id = ?1 AND lease = ?2";

  return {
    async receive(connectionId, notices, from) {
      const at = now();
      const rows = notices.map((notice) => rowOf(notice, from));
      const inserts = rows.flatMap(({ event, deliveryId, assetId, version, skip }) => {
        const id = `dlv_${newId()}`;
        const why = skip === undefined ? undefined : because(skip);
        return [
          prepared(
            `INSERT INTO deliveries (id, connection_id, delivery_id, body_digest, event, asset_id, version,
               state, reason, detail, due_at, received_at, finished_at, bulk)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
             ON CONFLICT DO NOTHING RETURNING id`,
            ...[id, connectionId, deliveryId, from, event, assetId, version],
            ...[
              why === undefined ? "received" : "skipped",
              why?.reason ?? null,
              why?.detail ?? null,
            ],
            ...[why === undefined ? at : null, at, why === undefined ? null : at],
            Number(from === "sweep" && event === sweepEvent),
          ),
          noting(
            table,
            {
              ...{
                connectionId,
                at,
                who: from === "sweep" ? "worker" : "sender",
                what: "received",
              },
              ...{ assetId, subject: id, reason: why?.reason ?? null },
            },
            "EXISTS (SELECT 1 FROM deliveries WHERE id = ?6)",
          ),
        ];
      });
      if (inserts.length === 0) return { received: 0, known: 0, woken: 0 };
      const results = await table.batch(inserts);
      const known = rows.filter((_, index) => results[2 * index]?.results.length === 0);
      let woken = 0;
      if (known.length > 0) {
        const again = from === "sweep";
        const told = await table.batch(
          known.map(({ deliveryId, assetId, version }) =>
            prepared(
              again
                ? `UPDATE deliveries SET state = 'queued', attempts = 0, due_at = ?5, finished_at = NULL,
                     received_at = ?5 WHERE connection_id = ?1 AND state = 'dead'
                   AND ((delivery_id = ?2 AND asset_id = ?3) OR (version <> '' AND asset_id = ?3 AND version = ?4))`
                : `UPDATE deliveries SET seen = seen + 1, bulk = 0,
                     state = iif(state = 'listed', 'received', state),
                     due_at = iif(bulk = 1 AND lease IS NULL AND finished_at IS NULL, ?5, due_at)
                   WHERE connection_id = ?1
                   AND ((delivery_id = ?2 AND asset_id = ?3) OR (version <> '' AND asset_id = ?3 AND version = ?4))
                   RETURNING due_at, backfill`,
              ...[connectionId, deliveryId, assetId, version, at],
            ),
          ),
        );
        const dueAt = told.flatMap(({ results }) => dueSchema.parse(results));
        woken = dueAt.filter((row) => row.due_at === at && row.backfill !== null).length;
      }
      return { received: rows.length - known.length, known: known.length, woken };
    },

    claim: ({ connectionId, want, atOnce, leaseMs }) =>
      rowsOf(
        // One statement, so no two claims count the same free places or take the same asset. What sweeps and backfills
        // brought comes last, and leaves a place free for what comes in.
        `UPDATE deliveries SET state = 'fetching', lease = ?2, due_at = ?3 + ?4, attempts = attempts + 1
         WHERE id IN (
           SELECT id FROM (
             SELECT * FROM (${claimable(0)} LIMIT ?5)
             UNION ALL
             SELECT * FROM (${claimable(1)}
               LIMIT max(0, min(?5, max(1, ?6 - 1) - (SELECT count(*) ${leased} AND bulk = 1))))
           ) ORDER BY bulk, due_at, nth LIMIT max(0, min(?5, ?6 - (SELECT count(*) ${leased}))))
         AND EXISTS (SELECT 1 FROM connections WHERE id = ?1 AND paused_until <= ?3)
         RETURNING ${deliveryColumns}`,
        ...[connectionId, newId(), now(), leaseMs, want, atOnce],
      ),

    async adoptVersion({ id, connection_id: connectionId, asset_id: assetId, lease }, version) {
      const adopted = await prepared(
        `UPDATE OR IGNORE deliveries SET version = ?3 WHERE ${mine} AND NOT EXISTS (
           SELECT 1 FROM deliveries WHERE connection_id = ?4 AND asset_id = ?5 AND version = ?3 AND id <> ?1)
         RETURNING id`,
        ...[id, lease, version, connectionId, assetId],
      ).first();
      return adopted !== null;
    },

    async described({ id, lease }) {
      await prepared(`UPDATE deliveries SET state = 'described' WHERE ${mine}`, id, lease).run();
    },

    async settle(delivery, state, why) {
      const { id, connection_id: connectionId, asset_id: assetId, lease } = delivery;
      const at = now();
      const reason = why?.reason ?? null;
      await table.batch([
        noting(
          table,
          { connectionId, at, who: "worker", what: state, assetId, subject: id, reason },
          "EXISTS (SELECT 1 FROM deliveries WHERE id = ?6 AND lease = ?8)",
          lease,
        ),
        prepared(
          `UPDATE deliveries SET state = ?3, reason = ?4, detail = ?5, finished_at = ?6, due_at = NULL,
           lease = NULL WHERE ${mine}`,
          ...[id, lease, state, reason, why?.detail ?? null, at],
        ),
        // Something went well: the next pause is a short one again.
        prepared(
          "UPDATE connections SET paused_times = 0 WHERE id = ?1 AND paused_times > 0 AND paused_until <= ?2",
          ...[connectionId, at],
        ),
      ]);
    },

    async putBack({ id, lease }, afterMs, free, why) {
      await prepared(
        `UPDATE deliveries SET state = 'queued', due_at = ?3, attempts = attempts - ?4, lease = NULL,
         reason = ?5, detail = ?6 WHERE ${mine}`,
        ...[id, lease, now() + afterMs, free ? 1 : 0, why?.reason ?? null, why?.detail ?? null],
      ).run();
    },

    async replay(connectionId, id, who) {
      const at = now();
      await table.batch([
        noting(
          table,
          { connectionId, at, who, what: "replayed", subject: id },
          "EXISTS (SELECT 1 FROM deliveries WHERE id = ?6 AND connection_id = ?1 AND due_at IS NULL AND asset_id <> '')",
        ),
        // Its age counts anew. Where nothing could be done about it, nothing can be done now.
        prepared(
          `UPDATE deliveries SET state = 'queued', reason = NULL, detail = NULL, attempts = 0, due_at = ?3,
           received_at = ?3, finished_at = NULL, bulk = 0
           WHERE id = ?1 AND connection_id = ?2 AND due_at IS NULL AND asset_id <> ''`,
          ...[id, connectionId, at],
        ),
      ]);
      const [row] = await rowsOf(
        `SELECT ${deliveryColumns} FROM deliveries WHERE id = ?1 AND connection_id = ?2`,
        ...[id, connectionId],
      );
      if (row === undefined) throw new AppError("not_found", "There is no delivery with this id.");
      return row;
    },

    async revive(connectionId, reason) {
      await prepared(
        `UPDATE deliveries SET state = 'queued', attempts = 0, due_at = ?3, received_at = ?3, finished_at = NULL
         WHERE connection_id = ?1 AND state = 'dead' AND reason = ?2`,
        ...[connectionId, reason, now()],
      ).run();
    },

    async list(connectionId, { state, assetId }, cursor) {
      const { results } = await prepared(
        `SELECT ${deliveryColumns}, rowid AS page FROM deliveries WHERE connection_id = ?1
         AND (?2 = '' OR state = ?2) AND (?3 = '' OR asset_id = ?3) AND rowid < ?4
         ORDER BY rowid DESC LIMIT ?5`,
        ...[connectionId, state ?? "", assetId ?? ""],
        ...[Number(cursor ?? Number.MAX_SAFE_INTEGER), pageSize + 1],
      ).all();
      const page = results.slice(0, pageSize);
      const last = page.at(-1) as { readonly page: number } | undefined;
      return {
        deliveries: page.map((row) => deliveryOf(deliveryRecordSchema.parse(row))),
        ...(results.length > pageSize && last !== undefined ? { cursor: String(last.page) } : {}),
      };
    },

    async standing(connectionId) {
      const row = await prepared(
        `SELECT paused_until,
         (SELECT min(due_at) FROM deliveries WHERE connection_id = ?1 AND due_at IS NOT NULL AND lease IS NULL)
           AS next_due_at,
         (SELECT count(*) FROM deliveries WHERE connection_id = ?1 AND due_at > ?2 AND lease IS NOT NULL)
           AS running
         FROM connections WHERE id = ?1`,
        ...[connectionId, now()],
      ).first();
      if (row === null) return { nextDueAt: undefined, running: 0 };
      const { paused_until: pausedUntil, next_due_at: due, running } = standingSchema.parse(row);
      return { nextDueAt: due === null ? undefined : Math.max(due, pausedUntil), running };
    },

    async overdue(before, limit) {
      const { results } = await prepared(
        `SELECT id FROM connections WHERE paused_until <= ?1 AND EXISTS (
           SELECT 1 FROM deliveries WHERE connection_id = connections.id AND due_at <= ?1) LIMIT ?2`,
        ...[before, limit],
      ).all();
      return idsSchema.parse(results).map(({ id }) => id);
    },

    async forget(before, limit) {
      await table.batch([
        prepared(
          `DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries
           WHERE finished_at <= ?1 AND version = '' LIMIT ?2)`,
          ...[before, limit],
        ),
        prepared(
          `DELETE FROM connection_events WHERE n IN (SELECT n FROM connection_events
           WHERE at <= ?1 ORDER BY n LIMIT ?2)`,
          ...[before, limit],
        ),
      ]);
    },
  };
}

/** What a sweep finds has waited already. */
export const sweepEvent = "sweep";

/** Whoever looks through the CMS calls a picture so. */
export const sweepId = (assetId: string, version: string): string => `sweep ${assetId} ${version}`;

/** What asks for no work names no version, so that it never stands in the way of what does. */
function rowOf({ event, deliveryId, assetId = "", version, skip }: Notice, from: string) {
  const id = (deliveryId ?? from).slice(0, maxIdCharacters);
  return {
    event: event.slice(0, 100),
    deliveryId: from === "sweep" ? sweepId(assetId, version ?? "") : id,
    assetId: assetId.slice(0, maxIdCharacters),
    version: skip === undefined ? (version ?? "").slice(0, maxIdCharacters) : "",
    skip: skip ?? (assetId === "" ? ("not_understood" as const) : undefined),
  };
}
