// Finds what no webhook and no message will: rows whose message was lost or whose Worker died, and pictures
// without alt text that a CMS never told of. Runs every minute; does a bounded part each time.
import { z } from "zod";
import type { KeyCaller } from "../auth/key-caller.ts";
import type { SqlValue } from "../auth/tables.ts";
import type { JobTables } from "../jobs/tables.ts";
import { describeError, writeEvent, type WriteLine } from "../log.ts";
import type { BackfillSteps } from "./backfill-steps.ts";
import { CmsFault } from "./cms-fault.ts";
import { connect, type ConnectedRooms } from "./connected.ts";
import {
  connectionColumns,
  connectionRecordSchema,
  optionsOf,
  type ConnectionRecord,
} from "./connection-record.ts";
import { sweepEvent, type DeliveryStore } from "./delivery-store.ts";
import type { ConnectionQueue } from "./messages.ts";
import { explain } from "./reasons.ts";
import { noting } from "./trail.ts";

export interface SweepRooms {
  readonly connected: ConnectedRooms;
  readonly table: JobTables;
  readonly deliveries: Pick<DeliveryStore, "receive" | "overdue" | "forget">;
  readonly steps: Pick<BackfillSteps, "overdue">;
  readonly queue: ConnectionQueue;
  readonly callerOfKey: KeyCaller;
  readonly timeoutMs: number;
  /** A row that has just come in is left to its message. */
  readonly graceMs: number;
  readonly keepMs: number;
  readonly write: WriteLine;
  readonly now: () => number;
}

export interface SweptConnections {
  /** Connections that were told that there is something to do. */
  readonly connections: number;
  /** Pictures without alt text that nobody had told of. */
  readonly untitled: number;
  /** Backfills whose next step was told to be due. */
  readonly backfills: number;
}

const perSweep = { hinted: 200, asked: 5, pages: 5, forgotten: 1000 } as const;
/** After a fault of the CMS. */
const askAgainMs = 300_000;

export function connectionSweep(rooms: SweepRooms): () => Promise<SweptConnections> {
  const { table, deliveries, steps, queue, callerOfKey, timeoutMs, graceMs, keepMs, now } = rooms;
  const prepared = (sql: string, ...values: SqlValue[]) => table.prepare(sql).bind(...values);

  /** Those that are due, put off at once, so that two sweeps never ask one CMS. */
  async function due(): Promise<ConnectionRecord[]> {
    const { results } = await prepared(
      `UPDATE connections SET sweep_due_at = ?1 + ?2 WHERE id IN (
         SELECT id FROM connections WHERE sweep_due_at <= ?1 AND paused_until <= ?1
         AND NOT EXISTS (SELECT 1 FROM backfills WHERE connection_id = connections.id AND ended_at IS NULL)
         ORDER BY sweep_due_at LIMIT ?3) RETURNING ${connectionColumns}`,
      ...[now(), askAgainMs, perSweep.asked],
    ).all();
    return z.array(connectionRecordSchema).parse(results);
  }

  async function ask(connection: ConnectionRecord): Promise<number> {
    const { id, kind, key_id: keyId } = connection;
    const caller = await callerOfKey(keyId);
    if (caller === undefined || caller.tenant !== connection.tenant) return 0;
    const signal = AbortSignal.timeout(timeoutMs);
    const { adapter, cms } = await connect(rooms.connected, connection, caller, signal);
    let cursor = connection.sweep_cursor ?? undefined;
    let found = 0;
    for (let page = 0; page < perSweep.pages; page++) {
      const { assets, cursor: next } = await adapter.listUntitled(cms, cursor);
      const notices = assets.map((asset) => ({
        ...{ event: sweepEvent, assetId: asset.id, version: asset.version },
      }));
      found += (await deliveries.receive(id, notices, "sweep")).received;
      cursor = next;
      if (next === undefined) break;
    }
    if (found > 0) await queue.send({ kind: "connection", connection: id });
    const { sweep_every_s: everyS } = optionsOf(kind, connection.options);
    // What is left of a long list comes with the next stroke of the clock.
    const dueAt = cursor === undefined ? now() + (everyS ?? 0) * 1000 : now();
    await prepared(
      `UPDATE connections SET sweep_cursor = ?2, sweep_due_at = ?3, swept_at = ?4
       WHERE id = ?1 AND sweep_due_at IS NOT NULL`,
      ...[id, cursor ?? null, dueAt, now()],
    ).run();
    return found;
  }

  return async () => {
    let untitled = 0;
    for (const connection of await due()) {
      try {
        untitled += await ask(connection);
      } catch (error) {
        const { reason } = explain(error);
        const about = { connectionId: connection.id, at: now(), who: "worker" };
        await noting(table, { ...about, what: "sweep_failed", reason }).run();
        // Perhaps the CMS no longer knows where the list was left: the next round begins anew.
        if (error instanceof CmsFault && !error.again) {
          await prepared(
            "UPDATE connections SET sweep_cursor = NULL WHERE id = ?",
            about.connectionId,
          ).run();
        }
        const event = { event: "connection_sweep_failed", connection_id: connection.id, reason };
        writeEvent({ ...event, cause: describeError(error) }, rooms.write);
      }
    }
    const overdue = await deliveries.overdue(now() - graceMs, perSweep.hinted);
    for (const connection of overdue) await queue.send({ kind: "connection", connection });
    const steppable = await steps.overdue(now() - graceMs, perSweep.hinted);
    for (const backfill of steppable) await queue.send({ kind: "backfill", backfill });
    await deliveries.forget(now() - keepMs, perSweep.forgotten);
    return { connections: overdue.length, untitled, backfills: steppable.length };
  };
}
