import { describe, expect, test } from "vitest";
import { memorySql } from "../../../test/support/sqlite.ts";
import { noLimits, type Caller } from "../auth/caller.ts";
import { createLedger, type Ledger } from "./ledger.ts";
import { limitReport } from "./limit-headers.ts";
import { keyMeter, type KeyMeterCalls, type Spender } from "./meter.ts";

const caller: Caller = {
  ...{ keyId: "k", tenant: "ada", scopes: ["infer"], fetchAllow: [], noStore: false },
  ...{ isOperator: false, limits: { ...noLimits, inferencesPerDay: 2 } },
};

/** A meter over a ledger; single calls of the object can be replaced. */
function world(replace: (ledger: Ledger, now: number) => Partial<KeyMeterCalls> = () => ({})) {
  const ledger = createLedger(memorySql());
  const now = Date.now();
  const late: Promise<unknown>[] = [];
  const object: KeyMeterCalls = {
    reserve: (reservation) => Promise.resolve(ledger.reserve(reservation, now)),
    settle: (lease) => Promise.resolve(ledger.settle(lease, now)),
    refund: (lease) => Promise.resolve(ledger.refund(lease, now)),
    days: (from, to) => Promise.resolve(ledger.days(from, to, now)),
    ...replace(ledger, now),
  };
  const meter = keyMeter({ meters: { getByName: () => object }, closeTimeoutMs: 20 });
  const controller = new AbortController();
  const spender: Spender = {
    ...{ caller, signal: controller.signal, remainingMs: () => 1000, event: {} },
    limits: limitReport(),
    hops: { time: (_name, work) => work() },
    later: (work) => void late.push(work.catch(() => {})),
  };
  const counted = () => {
    const [day] = ledger.days("2000-01-01", "2999-01-01", now);
    return [day?.inferences, day?.refunded_calls, day?.expired_calls];
  };
  return { meter, spender, controller, late, counted };
}
const never = () => new Promise<never>(() => {});
const done = () => Promise.resolve("done");

describe("spending", () => {
  test("counts what was done and gives back what failed", async () => {
    const { meter, spender, counted } = world();
    expect(await meter.spend(spender, 2, done)).toBe("done");
    await expect(meter.spend(spender, 1, done)).rejects.toMatchObject({ code: "quota_exceeded" });
    expect(counted()).toEqual([2, 0, 0]);
    expect(spender.event).toEqual({ inferences: 2 });

    const other = world();
    const failing = other.meter.spend(other.spender, 2, () => Promise.reject(new Error("no")));
    await expect(failing).rejects.toThrow("no");
    expect(other.counted()).toEqual([0, 1, 0]);
    expect(other.spender.event).toEqual({ inferences_refunded: 2 });
  });

  test("without a meter nothing is done", async () => {
    let calls = 0;
    const { meter, spender } = world(() => ({ reserve: () => Promise.reject(new Error("gone")) }));
    const spending = meter.spend(spender, 1, () => Promise.resolve((calls += 1)));
    await expect(spending).rejects.toMatchObject({ code: "meter_unavailable", retryAfterS: 1 });
    expect(calls).toBe(0);
  });

  test("a reservation whose answer comes too late is given back", async () => {
    const { meter, spender, controller, late, counted } = world((ledger, now) => ({
      reserve(reservation) {
        ledger.reserve(reservation, now);
        return never();
      },
    }));
    const spending = meter.spend(spender, 2, done);
    controller.abort(new Error("over"));
    await expect(spending).rejects.toThrow("over");
    await Promise.all(late);
    expect(counted()).toEqual([0, 1, 0]);
  });

  test("a meter that does not settle takes no answer away, and the log says that nothing was counted", async () => {
    const { meter, spender } = world(() => ({ settle: never }));
    expect(await meter.spend(spender, 1, done)).toBe("done");
    expect(spender.event).toEqual({ meter_fault: expect.stringContaining("Timeout") });
    const late = world(() => ({ settle: () => Promise.resolve("late") }));
    await late.meter.spend(late.spender, 1, done);
    expect(late.spender.event).toEqual({ meter_fault: "Error: the lease was late" });
  });

  test("what is left of a quota is told", async () => {
    const { meter, spender } = world();
    await meter.spend(spender, 1, done);
    expect(spender.limits.states.get("day")).toMatchObject({ remaining: 1 });
  });
});
