// The steps of a backfill in D1. A step is claimed with a lease and writes what it did in one transaction that only its
// lease allows: whoever was killed, comes late or comes twice changes nothing.
import { z } from "zod";
import type { SqlValue } from "../auth/tables.ts";
import type { JobTables } from "../jobs/tables.ts";
import type { UntitledPage } from "./adapter.ts";
import { knownEntries, knownSchema, sortPage, toList } from "./backfill-page.ts";
import { backfillColumns, backfillRecordSchema, type BackfillRecord } from "./backfill-record.ts";
import { takeBack } from "./backfill-store.ts";
import type { Explained } from "./reasons.ts";

/** What may be put into the inbox next, in time. */
export interface Released {
  readonly firstDueAt: number;
  /** When the rate allows the one after these. */
  readonly nextAt: number;
}

export interface BackfillSteps {
  /** The right to do the next step. Undefined: it does not run, it is not time, or another has it. */
  claim(id: string, leaseMs: number): Promise<BackfillRecord | undefined>;
  /** Writes a page of the CMS's list down and moves past it. Undefined: the step is not this one's any more. */
  takePage(step: BackfillRecord, page: UntitledPage): Promise<BackfillRecord | undefined>;
  /** Puts as many into the inbox as the rate allows until `until`. Undefined: none. */
  release(step: BackfillRecord, until: number): Promise<Released | undefined>;
  /** Whether pictures wait for their turn; whether any is not over. */
  left(id: string): Promise<{ readonly waiting: boolean; readonly open: boolean }>;
  /** Goes through the list once more, from the beginning. */
  again(step: BackfillRecord): Promise<void>;
  /** Ends the step; the next one is at `dueAt`. `why`: the trouble that it had, which counts as a failure. */
  rest(step: BackfillRecord, dueAt: number, why: Explained | undefined): Promise<void>;
  /** Those whose step has been due since `before`. */
  overdue(before: number, limit: number): Promise<readonly string[]>;
}

/** What has waited in the inbox for so long gives its place in time to others: a halt is not made good by a burst. */
const staleMs = 15_000;
/** How much too early a message may come. */
const earlyMs = 500;

const hexId = (): string => crypto.randomUUID().replaceAll("-", "");
const mine = "id = ?1 AND lease = ?2";
const isMine = `EXISTS (SELECT 1 FROM backfills WHERE ${mine})`;
const idsSchema = z.array(z.object({ id: z.string() }));
const flag = z.number().transform((value) => value !== 0);
const leftSchema = z.object({ waiting: flag, open: flag });
const dueSchema = z.array(z.object({ due_at: z.number() }));
const nextSchema = z.array(z.object({ next_at: z.number() }));

export function backfillSteps(options: {
  readonly table: JobTables;
  readonly now?: () => number;
  readonly newId?: () => string;
}): BackfillSteps {
  const { table, now = Date.now, newId = hexId } = options;
  const prepared = (sql: string, ...values: SqlValue[]) => table.prepare(sql).bind(...values);
  const parse = (row: unknown): BackfillRecord | undefined =>
    row === null || row === undefined ? undefined : backfillRecordSchema.parse(row);

  async function roomOf({ id, most, dry_run: isDry, counted }: BackfillRecord): Promise<number> {
    if (most === null) return Infinity;
    if (isDry) return most - counted;
    const row = await prepared(
      "SELECT count(*) AS n FROM deliveries WHERE backfill = ?",
      id,
    ).first();
    return most - z.object({ n: z.number() }).parse(row).n;
  }

  return {
    claim: async (id, leaseMs) =>
      parse(
        await prepared(
          `UPDATE backfills SET lease = ?2, due_at = ?3 + ?4
           WHERE id = ?1 AND state = 'running' AND due_at <= ?3 + ?5 RETURNING ${backfillColumns}`,
          ...[id, newId(), now(), leaseMs, earlyMs],
        ).first(),
      ),

    async takePage(step, { assets, cursor }) {
      const { id, lease, connection_id: connectionId, dry_run: isDry, pass } = step;
      const entries = toList(assets, newId);
      const known = await prepared(knownEntries, connectionId, JSON.stringify(entries)).all();
      const room = await roomOf(step);
      const sorted = sortPage(entries, knownSchema.parse(known.results), id, room);
      const took = sorted.fresh.length + sorted.anew.length;
      const next = sorted.isFull ? null : (cursor ?? null);
      const rows = [
        prepared(
          `INSERT INTO deliveries (id, connection_id, delivery_id, event, asset_id, version, state, received_at,
             backfill, bulk)
           SELECT value->>'id', ?3, value->>'delivery', 'backfill', value->>'asset', value->>'version', 'listed', ?4,
             ?1, 1 FROM json_each(?5) WHERE ${isMine} ON CONFLICT DO NOTHING`,
          ...[id, lease, connectionId, now(), JSON.stringify(sorted.fresh)],
        ),
        prepared(
          `UPDATE deliveries SET state = 'listed', backfill = ?1, bulk = 1, attempts = 0, reason = NULL, detail = NULL,
             due_at = NULL, finished_at = NULL, received_at = ?3
           WHERE id IN (SELECT value FROM json_each(?4)) AND finished_at IS NOT NULL AND ${isMine}`,
          ...[id, lease, now(), JSON.stringify(sorted.anew)],
        ),
      ];
      // The rows of a page and the step past it: all of them or none. What is full looks for no more.
      const moved = prepared(
        `UPDATE backfills SET cursor = ?3, listing = ?4, found = found + ?5, counted = counted + ?6,
           fresh = iif(?7, 0, fresh + ?8), attempts = 0, reason = NULL, detail = NULL
         WHERE ${mine} RETURNING ${backfillColumns}`,
        ...[id, lease, next, Number(next !== null), pass === 1 ? sorted.looked : took],
        ...[isDry ? took : 0, Number(sorted.isFull), took],
      );
      const done = await table.batch([...(isDry ? [] : rows), moved]);
      return parse(done.at(-1)?.results[0]);
    },

    async release({ id, lease, rate, next_at: nextAt }, until) {
      const at = now();
      const spacing = 60_000 / rate;
      const from = Math.max(nextAt, at);
      const count = Math.max(0, Math.ceil((until - from) / spacing));
      const [, placed, moved] = await table.batch([
        prepared(`${takeBack} AND due_at < ?3 AND ${isMine}`, id, lease, at - staleMs),
        prepared(
          `UPDATE deliveries SET state = 'received', due_at = ?3 + CAST((picked.nth - 1) * ?4 AS INTEGER)
           FROM (SELECT one, row_number() OVER (ORDER BY place) AS nth FROM (
             SELECT id AS one, rowid AS place FROM deliveries WHERE backfill = ?1 AND state = 'listed'
             ORDER BY rowid LIMIT ?5)) AS picked
           WHERE deliveries.id = picked.one AND ${isMine} RETURNING due_at`,
          ...[id, lease, from, spacing, count],
        ),
        prepared(
          `UPDATE backfills SET next_at = max(next_at, ?3 + coalesce((SELECT max(due_at) FROM deliveries
             WHERE backfill = ?1 AND state = 'received' AND bulk = 1), 0)) WHERE ${mine} RETURNING next_at`,
          ...[id, lease, Math.ceil(spacing)],
        ),
      ]);
      const due = dueSchema.parse(placed?.results ?? []).map(({ due_at: one }) => one);
      const [next] = nextSchema.parse(moved?.results ?? []);
      if (due.length === 0 || next === undefined) return undefined;
      return { firstDueAt: due.reduce((a, b) => Math.min(a, b)), nextAt: next.next_at };
    },

    async left(id) {
      const row = await prepared(
        `SELECT EXISTS (SELECT 1 FROM deliveries WHERE backfill = ?1 AND state = 'listed') AS waiting,
         EXISTS (SELECT 1 FROM deliveries WHERE backfill = ?1
           AND state IN ('listed', 'received', 'queued', 'fetching', 'described')) AS open`,
        id,
      ).first();
      return leftSchema.parse(row);
    },

    async again({ id, lease }) {
      await prepared(
        `UPDATE backfills SET listing = 1, cursor = NULL, pass = pass + 1, fresh = 0 WHERE ${mine}`,
        ...[id, lease],
      ).run();
    },

    async rest({ id, lease }, dueAt, why) {
      await prepared(
        `UPDATE backfills SET due_at = ?3, lease = NULL, reason = ?4, detail = ?5, attempts = attempts + ?6
         WHERE ${mine}`,
        ...[id, lease, dueAt, why?.reason ?? null, why?.detail ?? null, Number(why !== undefined)],
      ).run();
    },

    async overdue(before, limit) {
      const { results } = await prepared(
        "SELECT id FROM backfills WHERE due_at <= ?1 ORDER BY due_at LIMIT ?2",
        ...[before, limit],
      ).all();
      return idsSchema.parse(results).map(({ id }) => id);
    },
  };
}
