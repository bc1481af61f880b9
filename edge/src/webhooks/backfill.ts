// One step of a backfill: asks the CMS for pages of its list until all is listed, then puts into the inbox what the rate
// allows for the next minute, and so on until everything listed is over and the list has nothing new. The inbox's lane
// does the work. Nothing is kept here: a Worker that dies in the middle loses its lease, and the step is someone else's.
import type { KeyCaller } from "../auth/key-caller.ts";
import { retryWaitMs, type RetryRules } from "../jobs/after-failure.ts";
import type { Invocation } from "../jobs/lane.ts";
import { describeError, writeEvent, type LogEvent } from "../log.ts";
import type { UntitledPage } from "./adapter.ts";
import type { BackfillRecord } from "./backfill-record.ts";
import type { BackfillSteps } from "./backfill-steps.ts";
import type { BackfillStore } from "./backfill-store.ts";
import { CmsFault } from "./cms-fault.ts";
import { connect, type ConnectedRooms } from "./connected.ts";
import type { ConnectionBook } from "./connection-book.ts";
import { optionsOf, type ConnectionRecord } from "./connection-record.ts";
import type { ConnectionQueue } from "./messages.ts";
import { because, explain, type Reason } from "./reasons.ts";
import { workerOf } from "./worker-of.ts";

export interface BackfillRooms {
  readonly steps: BackfillSteps;
  readonly backfills: Pick<BackfillStore, "pause" | "end">;
  readonly book: Pick<ConnectionBook, "find" | "hint">;
  readonly connected: ConnectedRooms;
  readonly queue: ConnectionQueue;
  readonly callerOfKey: KeyCaller;
  readonly rules: RetryRules;
  /** For one page of the CMS. */
  readonly timeoutMs: number;
  readonly sliceMs: number;
  readonly now: () => number;
  /** Of tests their own. */
  readonly listPage?: ListPage;
}

export type ListPage = (
  connection: ConnectionRecord,
  step: BackfillRecord,
) => Promise<UntitledPage>;

/** Rejects only when the tables cannot be reached; the message may then come again. */
export type RunBackfill = (id: string, on: Invocation) => Promise<void>;

const pagesPerStep = 25;
/** The inbox holds so much of a backfill: a strike of the clock is enough to keep the rate. */
const aheadMs = 60_000;
const stepEveryMs = 20_000;
const soonestMs = 1000;
/** What is due later than this is for the sweep. */
const longestHintMs = 60_000;

/** When the next step is; undefined: it is over, halted, or someone else's. */
type Next = number | undefined;

export function backfillRunner(rooms: BackfillRooms): RunBackfill {
  const { steps, backfills, book, queue, callerOfKey, rules, timeoutMs, sliceMs, now } = rooms;

  const listPage: ListPage =
    rooms.listPage ??
    (async (connection, step) => {
      const caller = await workerOf(callerOfKey, connection);
      if (caller === undefined) throw new Halt("key_ended");
      const signal = AbortSignal.timeout(timeoutMs);
      const { adapter, cms } = await connect(rooms.connected, connection, caller, signal);
      const cursor = step.cursor ?? undefined;
      if (step.pictures === "untitled") return adapter.listUntitled(cms, cursor);
      if (adapter.listAll === undefined) throw new Halt("not_listed_whole");
      return adapter.listAll(cms, cursor);
    });

  /** Undefined: the step is not ours any more. */
  async function listSome(
    connection: ConnectionRecord,
    step: BackfillRecord,
  ): Promise<BackfillRecord | undefined> {
    const stopAt = now() + sliceMs;
    let current = step;
    for (let page = 0; page < pagesPerStep && current.listing && now() < stopAt; page++) {
      const listed = await listPage(connection, current);
      if (listed.cursor !== undefined && listed.cursor === current.cursor) {
        throw new CmsFault("cms_unexpected", { internal: "the list does not go on" });
      }
      const moved = await steps.takePage(current, listed);
      if (moved === undefined) return undefined;
      current = moved;
    }
    return current;
  }

  async function fill({ id: connectionId }: ConnectionRecord, step: BackfillRecord): Promise<Next> {
    const at = now();
    const released = await steps.release(step, at + aheadMs);
    if (released !== undefined) {
      const delaySeconds = Math.ceil(Math.max(0, released.firstDueAt - at) / 1000);
      if (await book.hint(connectionId, at + delaySeconds * 1000)) {
        await queue.send({ kind: "connection", connection: connectionId }, { delaySeconds });
      }
    }
    const { waiting, open } = await steps.left(step.id);
    if (waiting) return at + stepEveryMs;
    if (open) {
      // When the last of them is due; after that, less and less often.
      const waitMs = Math.abs((released?.nextAt ?? step.next_at) - at);
      return at + Math.min(stepEveryMs, Math.max(soonestMs, waitMs));
    }
    // A list that shrinks while it is read may have been read past something (docs/decisions/0190).
    if (step.fresh > 0) {
      await steps.again(step);
      return at;
    }
    await backfills.end(step.id, "done", "worker", undefined, step.lease ?? "");
    return undefined;
  }

  async function work(connection: ConnectionRecord, step: BackfillRecord): Promise<Next> {
    if (!step.dry_run && optionsOf(connection.kind, connection.options).mode === "off") {
      throw new Halt("mode_off");
    }
    if (connection.paused_until > now())
      return Math.max(now() + soonestMs, connection.paused_until);
    const current = step.listing ? await listSome(connection, step) : step;
    if (current === undefined) return undefined;
    if (current.listing) return now();
    if (!current.dry_run) return fill(connection, current);
    await backfills.end(step.id, "done", "worker", undefined, step.lease ?? "");
    return undefined;
  }

  /** When it is tried again. */
  async function afterTrouble(step: BackfillRecord, error: unknown): Promise<Next> {
    const why = error instanceof Halt ? because(error.reason) : explain(error);
    const attempts = step.attempts + 1;
    const again = !(error instanceof CmsFault) || error.again;
    if (!again) {
      await backfills.end(step.id, "failed", "worker", why, step.lease ?? "");
      return undefined;
    }
    if (error instanceof Halt || attempts >= rules.maxAttempts) {
      await backfills.pause(step.id, "worker", why);
      return undefined;
    }
    const askedMs = error instanceof CmsFault ? (error.retryAfterS ?? 0) * 1000 : 0;
    const dueAt = now() + Math.max(askedMs, retryWaitMs(attempts, rules));
    await steps.rest(step, dueAt, why);
    return dueAt;
  }

  return async (id, { write }) => {
    const step = await steps.claim(id, sliceMs + 2 * timeoutMs);
    if (step === undefined) return;
    const connection = await book.find(step.connection_id);
    if (connection === undefined) return;
    const startedAt = now();
    const event: LogEvent = {
      ...{ event: "backfill_step", backfill_id: id, connection_id: connection.id },
      ...{ at: new Date(startedAt).toISOString(), tenant: step.tenant },
    };
    let dueAt: Next;
    try {
      dueAt = await work(connection, step);
      if (dueAt !== undefined) await steps.rest(step, dueAt, undefined);
    } catch (error) {
      event["reason"] = error instanceof Halt ? error.reason : explain(error).reason;
      if (error instanceof CmsFault) event["internal"] = error.internal;
      if (!(error instanceof Halt)) event["cause"] = describeError(error);
      dueAt = await afterTrouble(step, error);
    }
    event["duration_ms"] = now() - startedAt;
    writeEvent(event, write);
    const waitMs = dueAt === undefined ? Infinity : Math.max(0, dueAt - now());
    if (waitMs > longestHintMs) return;
    const delaySeconds = Math.ceil(waitMs / 1000);
    await queue.send({ kind: "backfill", backfill: id }, { delaySeconds });
  };
}

/** It cannot go on until somebody has changed something. */
class Halt extends Error {
  readonly reason: Reason;
  constructor(reason: Reason) {
    super(reason);
    this.name = "Halt";
    this.reason = reason;
  }
}
