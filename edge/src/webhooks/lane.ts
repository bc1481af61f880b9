// Works on one connection's inbox for a while, some rows at a time, then passes the rest on by a message. Nothing
// is kept here: a Worker that dies in the middle loses its leases, and the rows are someone else's.
import { AppError } from "@blip2-edge/shared/problem";
import type { Caller } from "../auth/caller.ts";
import type { KeyCaller } from "../auth/key-caller.ts";
import type { AuthenticatedContext } from "../context.ts";
import { afterFailure, retryWaitMs, type RetryRules } from "../jobs/after-failure.ts";
import type { Invocation } from "../jobs/lane.ts";
import { inWorkContext, type WorkOptions } from "../jobs/work-context.ts";
import { describeError, writeEvent, type LogEvent } from "../log.ts";
import type { Rooms } from "../tasks/rooms.ts";
import { CmsFault } from "./cms-fault.ts";
import type { ConnectionBook } from "./connection-book.ts";
import type { ConnectionRecord } from "./connection-record.ts";
import type { DeliveryRecord } from "./delivery-record.ts";
import type { DeliveryStore } from "./delivery-store.ts";
import type { ConnectionQueue } from "./messages.ts";
import { processDelivery, type ProcessRooms } from "./process-delivery.ts";
import { because, explain, Hopeless } from "./reasons.ts";
import { workerOf } from "./worker-of.ts";

export interface LaneOptions extends Omit<WorkOptions, "write" | "later" | "signal"> {
  readonly rooms: ProcessRooms;
  readonly roomsFor: (context: AuthenticatedContext) => Rooms;
  readonly book: Pick<ConnectionBook, "find" | "hint" | "pause">;
  readonly deliveries: Pick<DeliveryStore, "claim" | "settle" | "putBack" | "standing">;
  readonly queue: ConnectionQueue;
  readonly callerOfKey: KeyCaller;
  readonly rules: RetryRules;
  /** Rows of a connection at a time. */
  readonly atOnce: number;
  readonly leaseGraceMs: number;
  readonly sliceMs: number;
  /** What is older has been tried long enough. */
  readonly giveUpMs: number;
  /** The work on one row; of tests their own. */
  readonly run?: typeof processDelivery;
}

/** Rejects only when the tables cannot be reached; the message may then come again. */
export type RunConnection = (connectionId: string, on: Invocation) => Promise<void>;

const rowsPerSlice = 24;
const busyWaitMs = 5000;
/** What is due later than this is for the sweep. */
const longestHintMs = 60_000;

export function connectionLane(options: LaneOptions): RunConnection {
  const { book, deliveries, queue, callerOfKey, rules, atOnce, now } = options;
  const { run = processDelivery, timeoutMs, leaseGraceMs, sliceMs, giveUpMs } = options;

  async function one(
    connection: ConnectionRecord,
    delivery: DeliveryRecord,
    caller: Caller,
    on: Invocation,
  ): Promise<void> {
    const event: LogEvent = {
      ...{ event: "delivery", route: "delivery", connection_id: connection.id },
      ...{ delivery_id: delivery.id, attempt: delivery.attempts },
    };
    await inWorkContext(
      { ...options, ...on },
      { id: delivery.id, caller, event },
      async (context) => {
        try {
          const tasks = options.roomsFor(context);
          const done = await run(options.rooms, tasks, connection, delivery, context);
          await deliveries.settle(delivery, done.state, done.why);
          event["outcome"] = done.state;
          event["reason"] = done.why?.reason;
        } catch (error) {
          await settleFailure(delivery, error, event).catch((fault: unknown) => {
            // Its lease ends by itself.
            event["outcome"] = "left";
            event["fault"] = describeError(fault);
          });
        }
      },
    );
  }

  async function settleFailure(
    delivery: DeliveryRecord,
    error: unknown,
    event: LogEvent,
  ): Promise<void> {
    const why = explain(error);
    event["reason"] = why.reason;
    if (error instanceof AppError || error instanceof CmsFault) event["internal"] = error.internal;
    if (error instanceof Error && error.cause !== undefined)
      event["cause"] = describeError(error.cause);
    if (why.reason === "internal") event["cause"] = describeError(error);
    const after = whatNow(error, delivery.attempts);
    event["outcome"] = after.kind;
    if (after.kind === "failed" || after.kind === "dead") {
      return deliveries.settle(delivery, after.kind, why);
    }
    if (now() - delivery.received_at > giveUpMs) {
      event["outcome"] = "dead";
      return deliveries.settle(delivery, "dead", why);
    }
    if (after.kind === "again") return deliveries.putBack(delivery, after.afterMs, false, why);
    await book.pause(delivery.connection_id, after.atLeastMs, why.reason, rules);
    return deliveries.putBack(delivery, after.atLeastMs, true, why);
  }

  type WhatNow =
    | { readonly kind: "failed" }
    | { readonly kind: "dead" }
    | { readonly kind: "again"; readonly afterMs: number }
    | { readonly kind: "pause"; readonly atLeastMs: number };

  function whatNow(error: unknown, attempts: number): WhatNow {
    if (error instanceof Hopeless) return { kind: "failed" };
    if (error instanceof CmsFault) {
      if (!error.again) return { kind: "failed" };
      if (attempts >= rules.maxAttempts) return { kind: "dead" };
      const atLeastMs = (error.retryAfterS ?? 0) * 1000;
      // Asked to slow down, all of the connection does, and nobody's attempt counts.
      if (error.code === "cms_busy") return { kind: "pause", atLeastMs };
      return { kind: "again", afterMs: Math.max(atLeastMs, retryWaitMs(attempts, rules)) };
    }
    // Of a quota that no waiting restores too: it may be raised, and the next picture would meet it as well.
    if (error instanceof AppError && error.code === "quota_exceeded") {
      const askedMs = (error.retryAfterS ?? Infinity) * 1000;
      return { kind: "pause", atLeastMs: Math.min(askedMs, rules.maxPauseMs) };
    }
    const after = afterFailure(error, attempts, rules);
    switch (after.kind) {
      case "record":
        return after.problem.kind.retryable ? { kind: "dead" } : { kind: "failed" };
      case "again":
        return { kind: "again", afterMs: after.afterMs };
      case "pause":
        return { kind: "pause", atLeastMs: after.atLeastMs };
      case "return":
        return { kind: "again", afterMs: 0 };
    }
  }

  async function slice(
    connection: ConnectionRecord,
    caller: Caller,
    on: Invocation,
  ): Promise<number> {
    const stopAt = now() + sliceMs;
    const most = Math.min(atOnce, caller.limits.concurrency ?? atOnce);
    const running = new Set<Promise<void>>();
    let taken = 0;
    for (;;) {
      const want = Math.min(most - running.size, rowsPerSlice - taken);
      const leaseMs = timeoutMs + leaseGraceMs;
      const claim = { connectionId: connection.id, want, atOnce: most, leaseMs };
      const claimed = want > 0 && now() < stopAt ? await deliveries.claim(claim) : [];
      taken += claimed.length;
      for (const delivery of claimed) {
        const done = one(connection, delivery, caller, on).finally(() => running.delete(done));
        running.add(done);
      }
      if (running.size === 0) return taken;
      await Promise.race(running);
    }
  }

  return async (connectionId, on) => {
    const connection = await book.find(connectionId);
    if (connection === undefined) return;
    const caller = await workerOf(callerOfKey, connection);
    if (caller === undefined) {
      await book.pause(connectionId, rules.maxPauseMs, "key_ended", rules);
      writeEvent(
        { event: "connection_paused", connection_id: connectionId, ...because("key_ended") },
        on.write,
      );
      return;
    }
    const taken = await slice(connection, caller, on);
    const { nextDueAt, running } = await deliveries.standing(connectionId);
    // Nothing taken while others work: they pass on what is left, and not every message of a burst does.
    if (nextDueAt === undefined || (taken === 0 && running > 0)) return;
    const afterMs = Math.max(taken === 0 ? busyWaitMs : 0, nextDueAt - now());
    if (afterMs > longestHintMs) return;
    const delaySeconds = Math.ceil(afterMs / 1000);
    // Each message passes on one at most, and of several that wait the first is enough.
    if (!(await book.hint(connectionId, now() + delaySeconds * 1000))) return;
    await queue.send({ kind: "connection", connection: connectionId }, { delaySeconds });
  };
}
