// Spending inferences: reserved at the key's meter before a node is asked, settled before the answer goes
// out, given back when the call fails. So what is served is counted, and nothing else (decision 0082).
import { AppError } from "@blip2-edge/shared/problem";
import type { Caller } from "../auth/caller.ts";
import { describeError, type LogEvent } from "../log.ts";
import { unlessAborted } from "../unless-aborted.ts";
import type { LedgerDay, Reservation, Reserved, Settled } from "./ledger.ts";
import { reportViolation, type LimitReport } from "./limit-headers.ts";

/** What the Durable Object of a key can be asked (key-meter.ts). */
export interface KeyMeterCalls {
  reserve(reservation: Reservation): Promise<Reserved>;
  settle(lease: string): Promise<Settled>;
  refund(lease: string): Promise<void>;
  days(from: string, to: string): Promise<LedgerDay[]>;
}

/** The binding of the Durable Object's class. */
export interface KeyMeters {
  getByName(keyId: string): KeyMeterCalls;
}

/** What spending takes of a request. */
export interface Spender {
  readonly caller: Caller;
  readonly signal: AbortSignal;
  readonly remainingMs: () => number;
  readonly event: LogEvent;
  readonly limits: LimitReport;
  readonly later: (work: Promise<unknown>) => void;
  /** Times what the meter itself takes. */
  readonly hops: { time<Result>(name: "quota", work: () => Promise<Result>): Promise<Result> };
}

export interface Meter {
  /**
   * Does `work` for so many inferences of the caller's key. Throws what it throws, quota_exceeded,
   * concurrency_exceeded, meter_unavailable. What failed is given back, unless `isSpent` says of the failure
   * that the caller has had what it paid for.
   */
  spend<Result>(
    spender: Spender,
    units: number,
    work: () => Promise<Result>,
    isSpent?: (error: unknown) => boolean,
  ): Promise<Result>;
  days(keyId: string, from: string, to: string, signal: AbortSignal): Promise<LedgerDay[]>;
}

export interface MeterOptions {
  readonly meters: KeyMeters;
  /** How much longer than its request a lease lives. */
  readonly graceMs?: number;
  /** For settling and refunding, which outlive a request that is over. */
  readonly closeTimeoutMs?: number;
  readonly newId?: () => string;
}

const unavailable = (cause: unknown): AppError =>
  new AppError("meter_unavailable", "The key's quota cannot be read now. Try again.", {
    cause,
    retryAfterS: 1,
  });

export function keyMeter(options: MeterOptions): Meter {
  const { meters, graceMs = 15_000, closeTimeoutMs = 5_000 } = options;
  const newId = options.newId ?? (() => crypto.randomUUID());

  async function reserve(spender: Spender, lease: string, units: number): Promise<void> {
    const { caller, signal, remainingMs, limits, later } = spender;
    const meter = meters.getByName(caller.keyId);
    const ttlMs = Math.max(0, Math.ceil(remainingMs())) + graceMs;
    let reserved: Reserved;
    try {
      const asked = meter.reserve({ lease, units, limits: caller.limits, ttlMs });
      reserved = await unlessAborted(asked, signal);
    } catch (error) {
      // It may be reserved all the same.
      later(meter.refund(lease));
      signal.throwIfAborted();
      throw unavailable(error);
    }
    if (!reserved.ok) throw refusal(reserved, units, caller, limits);
    for (const name of ["day", "month"] as const) {
      const left = reserved.left[name];
      if (left !== undefined) limits.states.set(name, left);
    }
  }

  /** Adds to the log what the ledger has; a fault takes no answer away, and the lease ends by itself. */
  async function close(
    { event, caller }: Spender,
    how: "settle" | "refund",
    lease: string,
    units: number,
  ): Promise<void> {
    const name = how === "settle" ? "inferences" : "inferences_refunded";
    try {
      const closed = await unlessAborted<Settled | void>(
        meters.getByName(caller.keyId)[how](lease),
        AbortSignal.timeout(closeTimeoutMs),
      );
      if (closed === "late" || closed === "unknown") throw new Error(`the lease was ${closed}`);
      event[name] = Number(event[name] ?? 0) + units;
    } catch (error) {
      event["meter_fault"] = describeError(error);
    }
  }

  return {
    async spend<Result>(
      spender: Spender,
      units: number,
      work: () => Promise<Result>,
      isSpent: (error: unknown) => boolean = () => false,
    ) {
      const lease = newId();
      await spender.hops.time("quota", () => reserve(spender, lease, units));
      let result: Result;
      try {
        result = await work();
      } catch (error) {
        const how = isSpent(error) ? "settle" : "refund";
        await spender.hops.time("quota", () => close(spender, how, lease, units));
        throw error;
      }
      await spender.hops.time("quota", () => close(spender, "settle", lease, units));
      return result;
    },
    async days(keyId, from, to, signal) {
      try {
        return await unlessAborted(meters.getByName(keyId).days(from, to), signal);
      } catch (error) {
        signal.throwIfAborted();
        throw unavailable(error);
      }
    },
  };
}

function refusal(
  reserved: Exclude<Reserved, { readonly ok: true }>,
  units: number,
  { limits: { concurrency } }: Caller,
  report: LimitReport,
): AppError {
  if (reserved.limit === "concurrency") {
    reportViolation(report, "concurrency", { remaining: 0 });
    return new AppError(
      "concurrency_exceeded",
      `This key may have ${concurrency} calls in flight. Try again when one of them is answered.`,
      { retryAfterS: 1 },
    );
  }
  const { limit, left, never } = reserved;
  reportViolation(report, limit, left);
  const needs = `This request needs ${units} ${units === 1 ? "inference" : "inferences"}`;
  if (never) {
    return new AppError("quota_exceeded", `${needs}, more than the key may have in a ${limit}.`);
  }
  return new AppError(
    "quota_exceeded",
    `${needs}, and the key has ${left.remaining} left for this ${limit} (UTC). Try again after the time in Retry-After.`,
    { retryAfterS: left.resetS },
  );
}
