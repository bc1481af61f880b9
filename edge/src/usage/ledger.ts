// What one key has spent and has reserved: a room of SQL without a clock. Reserve, then settle or refund;
// a lease that nobody settles ends by itself and costs nothing. In any order of calls, what is spent and
// what is reserved together never exceed a quota, and the leases never the concurrency.
import { maxUsageDays } from "@blip2-edge/shared/contracts/usage";
import type { KeyLimits } from "../auth/caller.ts";
import { dayOf, daysBefore, endOfDay, endOfMonth, monthOf } from "./calendar.ts";

/** The SQL of a Durable Object, or of anything else that is SQLite. */
export interface Sql {
  exec(query: string, ...values: (string | number | null)[]): { toArray(): unknown[] };
}

export interface Reservation {
  /** Chosen by the caller, so that it can give back a lease whose answer never reached it. */
  readonly lease: string;
  readonly units: number;
  readonly limits: KeyLimits;
  /** After this the lease ends by itself. */
  readonly ttlMs: number;
}

export interface Standing {
  readonly remaining: number;
  readonly resetS: number;
}

/** What is left of each quota that the key has. */
export interface Standings {
  readonly day?: Standing;
  readonly month?: Standing;
}

export type Reserved =
  | { readonly ok: true; readonly left: Standings }
  | { readonly ok: false; readonly limit: "concurrency" }
  | {
      readonly ok: false;
      readonly limit: "day" | "month";
      readonly left: Standing;
      /** More than the whole quota: no waiting helps. */
      readonly never: boolean;
    };

/** `late`: the lease had ended and there was no room for it any more; nothing was counted. */
export type Settled = "settled" | "late" | "unknown";

export interface LedgerDay {
  readonly day: string;
  readonly inferences: number;
  readonly calls: number;
  readonly refunded_calls: number;
  readonly expired_calls: number;
}

export interface Ledger {
  reserve(reservation: Reservation, now: number): Reserved;
  settle(lease: string, now: number): Settled;
  refund(lease: string, now: number): void;
  /** Days with any call, first to last. */
  days(from: string, to: string, now: number): LedgerDay[];
}

const counters = ["inferences", "calls", "refunded_calls", "expired_calls"] as const;
/** A lease that ended by itself is remembered so long, should its request come back after all. */
const keepEndedMs = 3_600_000;

export function createLedger(sql: Sql): Ledger {
  sql.exec(`CREATE TABLE IF NOT EXISTS days (
    day TEXT PRIMARY KEY NOT NULL, ${counters.map((name) => `${name} INTEGER NOT NULL DEFAULT 0`).join(", ")}
  ) STRICT`);
  // The quotas of its reservation stay with a lease: a late one must fit them again.
  sql.exec(`CREATE TABLE IF NOT EXISTS leases (
    lease TEXT PRIMARY KEY NOT NULL, units INTEGER NOT NULL, day TEXT NOT NULL,
    per_day INTEGER, per_month INTEGER, ends_at INTEGER NOT NULL, ended INTEGER NOT NULL DEFAULT 0
  ) STRICT`);

  const number = (query: string, ...values: (string | number)[]): number => {
    const [row] = sql.exec(query, ...values).toArray() as { readonly n: number | null }[];
    return row?.n ?? 0;
  };
  const add = (day: string, counts: Partial<Record<(typeof counters)[number], number>>): void => {
    const values = counters.map((name) => counts[name] ?? 0);
    sql.exec(
      `INSERT INTO days (day, ${counters.join(", ")}) VALUES (?, ?, ?, ?, ?) ON CONFLICT (day) DO UPDATE SET ` +
        counters.map((name) => `${name} = ${name} + excluded.${name}`).join(", "),
      ...[day, ...values],
    );
  };
  /** Spent and reserved, of the days whose name begins so. */
  const taken = (days: string): number =>
    number("SELECT sum(inferences) AS n FROM days WHERE day GLOB ?", `${days}*`) +
    number("SELECT sum(units) AS n FROM leases WHERE ended = 0 AND day GLOB ?", `${days}*`);

  function endOverdue(now: number): void {
    const overdue = sql
      .exec("SELECT lease, day FROM leases WHERE ended = 0 AND ends_at <= ?", now)
      .toArray() as { readonly lease: string; readonly day: string }[];
    for (const { lease, day } of overdue) {
      sql.exec("UPDATE leases SET ended = 1 WHERE lease = ?", lease);
      add(day, { expired_calls: 1 });
    }
    sql.exec("DELETE FROM leases WHERE ended = 1 AND ends_at <= ?", now - keepEndedMs);
  }

  return {
    reserve({ lease, units, limits, ttlMs }, now) {
      endOverdue(now);
      const open = number("SELECT count(*) AS n FROM leases WHERE ended = 0");
      if (limits.concurrency !== null && open >= limits.concurrency) {
        return { ok: false, limit: "concurrency" };
      }
      const day = dayOf(now);
      const left: { day?: Standing; month?: Standing } = {};
      for (const [limit, quota, days, end] of [
        ["day", limits.inferencesPerDay, day, endOfDay(now)],
        ["month", limits.inferencesPerMonth, monthOf(day), endOfMonth(now)],
      ] as const) {
        if (quota === null) continue;
        const resetS = Math.max(1, Math.ceil((end - now) / 1000));
        const room = Math.max(0, quota - taken(days));
        if (units > room) {
          return { ok: false, limit, left: { remaining: room, resetS }, never: units > quota };
        }
        left[limit] = { remaining: room - units, resetS };
      }
      const { inferencesPerDay: perDay, inferencesPerMonth: perMonth } = limits;
      sql.exec(
        `INSERT INTO leases (lease, units, day, per_day, per_month, ends_at) VALUES (?, ?, ?, ?, ?, ?)`,
        ...[lease, units, day, perDay, perMonth, now + ttlMs],
      );
      if (number("SELECT count(*) AS n FROM days WHERE day = ?", day) === 0) {
        sql.exec("DELETE FROM days WHERE day < ?", daysBefore(now, maxUsageDays));
      }
      return { ok: true, left };
    },

    settle(lease, now) {
      endOverdue(now);
      const [row] = sql
        .exec("SELECT units, day, per_day, per_month, ended FROM leases WHERE lease = ?", lease)
        .toArray() as {
        readonly units: number;
        readonly day: string;
        readonly per_day: number | null;
        readonly per_month: number | null;
        readonly ended: number;
      }[];
      // Settled or given back before: a call that is repeated changes nothing.
      if (row === undefined) return "unknown";
      const { units, day } = row;
      const fits = (quota: number | null, days: string) =>
        quota === null || taken(days) + units <= quota;
      if (row.ended === 1 && !(fits(row.per_day, day) && fits(row.per_month, monthOf(day)))) {
        return "late";
      }
      sql.exec("DELETE FROM leases WHERE lease = ?", lease);
      add(day, { inferences: units, calls: 1, expired_calls: row.ended === 1 ? -1 : 0 });
      return "settled";
    },

    refund(lease, now) {
      endOverdue(now);
      const [row] = sql
        .exec("DELETE FROM leases WHERE lease = ? AND ended = 0 RETURNING day", lease)
        .toArray() as { readonly day: string }[];
      if (row !== undefined) add(row.day, { refunded_calls: 1 });
    },

    days(from, to, now) {
      endOverdue(now);
      return sql
        .exec(
          `SELECT day, ${counters.join(", ")} FROM days WHERE day BETWEEN ? AND ? ORDER BY day`,
          from,
          to,
        )
        .toArray() as LedgerDay[];
    },
  };
}
