import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { memorySql } from "../../../test/support/sqlite.ts";
import { noLimits, type KeyLimits } from "../auth/caller.ts";
import { createLedger, type Ledger } from "./ledger.ts";

const noon = Date.UTC(2030, 0, 30, 12);
const hour = 3_600_000;
const day = "2030-01-30";
const reserve = (ledger: Ledger, lease: string, units: number, limits: KeyLimits, now = noon) =>
  ledger.reserve({ lease, units, limits, ttlMs: 60_000 }, now);

describe("a quota", () => {
  const limits = { ...noLimits, inferencesPerDay: 10 };

  test("is reserved, then settled or given back", () => {
    const ledger = createLedger(memorySql());
    const left = { remaining: 4, resetS: 12 * 3600 };
    expect(reserve(ledger, "a", 6, limits)).toEqual({ ok: true, left: { day: left } });
    const refused = { ok: false, limit: "day", left, never: false };
    expect(reserve(ledger, "b", 5, limits)).toEqual(refused);
    ledger.refund("a", noon);
    expect(reserve(ledger, "b", 5, limits)).toMatchObject({ ok: true });
    expect(ledger.settle("b", noon)).toBe("settled");
    expect(ledger.settle("b", noon)).toBe("unknown");
    ledger.refund("b", noon);
    expect(ledger.days(day, day, noon)).toEqual([
      { day, inferences: 5, calls: 1, refunded_calls: 1, expired_calls: 0 },
    ]);
  });

  test("says when waiting never helps", () => {
    const ledger = createLedger(memorySql());
    expect(reserve(ledger, "a", 11, limits)).toMatchObject({ limit: "day", never: true });
  });

  test("begins anew with the day and the month, in UTC; a call belongs to the day it began", () => {
    const ledger = createLedger(memorySql());
    const both = { ...limits, inferencesPerMonth: 15 };
    const last = Date.UTC(2030, 0, 31, 23, 59, 59);
    expect(reserve(ledger, "a", 10, both)).toMatchObject({ ok: true });
    ledger.settle("a", noon);
    expect(reserve(ledger, "b", 6, both, last)).toMatchObject({
      ...{ ok: false, limit: "month", left: { remaining: 5, resetS: 1 } },
    });
    expect(reserve(ledger, "b", 5, both, last)).toMatchObject({ ok: true });
    expect(ledger.settle("b", last + 2000)).toBe("settled");
    expect(reserve(ledger, "c", 10, both, last + 2000)).toMatchObject({ ok: true });
    const days = ledger.days("2030-01-01", "2030-02-28", last + 2000);
    expect(days.map((row) => [row.day, row.inferences])).toEqual([
      [day, 10],
      ["2030-01-31", 5],
    ]);
  });
});

test("concurrency counts open leases", () => {
  const ledger = createLedger(memorySql());
  const limits = { ...noLimits, concurrency: 2 };
  for (const lease of ["a", "b"]) expect(reserve(ledger, lease, 1, limits).ok).toBe(true);
  expect(reserve(ledger, "c", 1, limits)).toEqual({ ok: false, limit: "concurrency" });
  ledger.refund("a", noon);
  expect(reserve(ledger, "c", 1, limits).ok).toBe(true);
});

describe("a lease that nobody settles", () => {
  const limits = { ...noLimits, inferencesPerDay: 2, concurrency: 1 };
  const later = noon + 60_000;

  test("ends by itself, costs nothing and is told", () => {
    const ledger = createLedger(memorySql());
    reserve(ledger, "a", 2, limits);
    expect(reserve(ledger, "b", 2, limits, later - 1).ok).toBe(false);
    expect(reserve(ledger, "b", 2, limits, later).ok).toBe(true);
    const counts = { inferences: 0, calls: 0, refunded_calls: 0, expired_calls: 1 };
    expect(ledger.days(day, day, later)).toEqual([{ day, ...counts }]);
  });

  test("is counted when its request comes back after all and there is still room, and only then", () => {
    const ledger = createLedger(memorySql());
    reserve(ledger, "a", 2, limits);
    expect(ledger.settle("a", later)).toBe("settled");
    expect(ledger.days(day, day, later)).toMatchObject([{ inferences: 2, expired_calls: 0 }]);

    const taken = createLedger(memorySql());
    reserve(taken, "a", 2, limits);
    reserve(taken, "b", 1, limits, later);
    expect(taken.settle("a", later)).toBe("late");
    expect(taken.days(day, day, later)).toMatchObject([{ inferences: 0, expired_calls: 1 }]);
  });

  test("is forgotten after an hour", () => {
    const ledger = createLedger(memorySql());
    reserve(ledger, "a", 2, limits);
    expect(ledger.settle("a", later + hour)).toBe("unknown");
  });
});

test("days older than 400 are dropped", () => {
  const ledger = createLedger(memorySql());
  reserve(ledger, "a", 1, noLimits);
  ledger.settle("a", noon);
  const muchLater = noon + 401 * 24 * hour;
  expect(ledger.days("2000-01-01", "2040-01-01", muchLater)).toHaveLength(1);
  reserve(ledger, "b", 1, noLimits, muchLater);
  expect(ledger.days("2000-01-01", "2040-01-01", muchLater)).toEqual([]);
});

/** What any order of calls does, told by a model that keeps every lease. */
interface ModelLease {
  units: number;
  day: string;
  endsAt: number;
  state: "open" | "settled" | "refunded" | "expired";
}

test("in any order of reserving, settling, refunding and time, nothing is exceeded and nothing lost", () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant("reserve" as const), units: fc.integer({ min: 1, max: 7 }) }),
    fc.record({ do: fc.constantFrom("settle" as const, "refund" as const), which: fc.nat(30) }),
    fc.record({
      do: fc.constant("wait" as const),
      ms: fc.constantFrom(1, 20_000, 61_000, 13 * hour),
    }),
  );
  const limitsArb = fc.record({
    requestsPerMinute: fc.constant(null),
    inferencesPerDay: fc.option(fc.integer({ min: 1, max: 20 })),
    inferencesPerMonth: fc.option(fc.integer({ min: 1, max: 40 })),
    concurrency: fc.option(fc.integer({ min: 1, max: 4 })),
  });
  fc.assert(
    fc.property(limitsArb, fc.array(step, { maxLength: 50 }), (limits, steps) => {
      const ledger = createLedger(memorySql());
      const leases: ModelLease[] = [];
      let now = noon;
      const sum = (states: readonly string[], prefix: string) =>
        leases
          .filter((lease) => states.includes(lease.state) && lease.day.startsWith(prefix))
          .reduce((total, { units }) => total + units, 0);
      for (const each of steps) {
        for (const lease of leases) {
          if (lease.state === "open" && lease.endsAt <= now) lease.state = "expired";
        }
        const today = new Date(now).toISOString().slice(0, 10);
        const month = today.slice(0, 7);
        const taken = (prefix: string) => sum(["open", "settled"], prefix);
        if (each.do === "wait") now += each.ms;
        else if (each.do === "reserve") {
          const open = leases.filter(({ state }) => state === "open").length;
          const fits =
            open < (limits.concurrency ?? Infinity) &&
            taken(today) + each.units <= (limits.inferencesPerDay ?? Infinity) &&
            taken(month) + each.units <= (limits.inferencesPerMonth ?? Infinity);
          const answer = reserve(ledger, String(leases.length), each.units, limits, now);
          expect(answer.ok).toBe(fits);
          const state = answer.ok ? "open" : "refunded";
          leases.push({ units: each.units, day: today, endsAt: now + 60_000, state });
        } else {
          const lease = leases[each.which];
          if (each.do === "refund") ledger.refund(String(each.which), now);
          else if (ledger.settle(String(each.which), now) === "settled" && lease !== undefined) {
            expect(["open", "expired"]).toContain(lease.state);
            lease.state = "settled";
          }
          if (each.do === "refund" && lease?.state === "open") lease.state = "refunded";
        }
        for (const lease of leases) {
          expect(taken(lease.day)).toBeLessThanOrEqual(limits.inferencesPerDay ?? Infinity);
          expect(taken(lease.day.slice(0, 7))).toBeLessThanOrEqual(
            limits.inferencesPerMonth ?? Infinity,
          );
        }
      }
      const told = ledger.days("2029-01-01", "2031-12-31", now);
      const spent = told.reduce((total, { inferences }) => total + inferences, 0);
      expect(spent).toBe(sum(["settled"], ""));
      expect(
        told.every(({ inferences, expired_calls: ended }) => inferences >= 0 && ended >= 0),
      ).toBe(true);
    }),
    { numRuns: 150 },
  );
});
