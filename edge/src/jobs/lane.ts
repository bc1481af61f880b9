// Works on one job for a while, some items at a time, then passes the rest on by a message: a slice, so that
// jobs take turns and no invocation outgrows its limits. Nothing is kept here: a Worker that dies in the
// middle loses its leases, and the items are someone else's.
import { AppError } from "@blip2-edge/shared/problem";
import type { Caller } from "../auth/caller.ts";
import type { KeyCaller } from "../auth/key-caller.ts";
import type { AuthenticatedContext } from "../context.ts";
import type { PictureMemory } from "../images/picture-memory.ts";
import { describeError, type LogEvent, type WriteLine } from "../log.ts";
import type { Rooms } from "../tasks/rooms.ts";
import type { UsagePoints } from "../usage/data-point.ts";
import { afterFailure, type RetryRules } from "./after-failure.ts";
import type { JobFiles } from "./job-files.ts";
import type { JobRecord } from "./job-record.ts";
import type { JobStore } from "./job-store.ts";
import type { JobQueue } from "./messages.ts";
import { runItem } from "./run-item.ts";
import { inWorkContext } from "./work-context.ts";
import type { ClaimedItem, WorkStore } from "./work-store.ts";

export interface LaneOptions {
  readonly jobs: Pick<JobStore, "find" | "end">;
  readonly work: WorkStore;
  readonly files: JobFiles;
  readonly dropFile: (tenant: string, jobId: string) => Promise<void>;
  readonly queue: JobQueue;
  readonly callerOfKey: KeyCaller;
  readonly roomsFor: (context: AuthenticatedContext) => Rooms;
  readonly memory: PictureMemory;
  readonly rules: RetryRules;
  /** Items at a time: of a job, and of all jobs together. */
  readonly perJob: number;
  readonly overall: number;
  readonly itemTimeoutMs: number;
  /** How much longer than its work a lease lives. */
  readonly leaseGraceMs: number;
  readonly sliceMs: number;
  readonly maxImageBytes: number;
  readonly traceRatio: number;
  readonly usagePoints: UsagePoints | undefined;
  /** The work on one item; of tests their own. */
  readonly run?: typeof runItem;
  /** How often it is looked whether the job still runs. */
  readonly watchMs?: number;
  readonly now?: () => number;
}

/** What an invocation gives to who works in it. */
export interface Invocation {
  readonly write: WriteLine;
  readonly later: (work: Promise<unknown>) => void;
}

/** Rejects only when the tables cannot be reached; the message may then come again. */
export type RunLane = (jobId: string, on: Invocation) => Promise<void>;

/** A slice is at most so many items: each may cost a second of CPU time and fifteen calls of bindings. */
const itemsPerSlice = 24;
/** When every place of the Worker is taken by other jobs. */
const busyWaitMs = 5000;
/** What is due later than this is for the sweep. */
const longestHintMs = 60_000;

export function jobLane(options: LaneOptions): RunLane {
  const { jobs, work, files, dropFile, queue, callerOfKey, perJob, overall } = options;
  const { itemTimeoutMs, leaseGraceMs, sliceMs, watchMs = 1000, now = Date.now } = options;
  const { run = runItem } = options;

  async function whoFor({ key_id: keyId }: JobRecord): Promise<Caller | AppError> {
    const caller = await callerOfKey(keyId);
    if (caller === undefined) {
      return new AppError("unauthorized", "The key that made this job was revoked or has expired.");
    }
    if (!caller.scopes.includes("jobs")) {
      return new AppError("forbidden", "The key that made this job lost the scope `jobs`.");
    }
    return caller.noStore
      ? new AppError("forbidden", "The key that made this job may keep nothing any more.")
      : caller;
  }

  async function one(
    job: JobRecord,
    item: ClaimedItem,
    caller: Caller,
    on: Invocation,
    laneSignal: AbortSignal,
  ): Promise<void> {
    const event: LogEvent = {
      ...{ event: "job_item", route: "jobItem" },
      ...{ job_id: job.id, item: item.n, attempt: item.attempts },
    };
    const at = { ...options, ...on, timeoutMs: itemTimeoutMs, signal: laneSignal, now };
    await inWorkContext(at, { id: `${job.id}/${item.n}`, caller, event }, async (context) => {
      try {
        const { tenant, id } = job;
        const stored = await files.getItem(tenant, id, item.inputAt, item.inputBytes);
        if (stored === undefined) throw new Error("the job's file is gone");
        const rooms = options.roomsFor(context);
        const result = await run(rooms, stored, job.defaults, options.maxImageBytes, context);
        const resultBytes = await files.putResult(tenant, id, item.n, item.lease, result);
        const recorded = await work.record(id, item, { state: "succeeded", resultBytes });
        event["outcome"] = recorded ? "succeeded" : "discarded";
        if (!recorded) context.later(files.dropResult(tenant, id, item.n, item.lease));
      } catch (error) {
        await settleFailure(job, item, error, event).catch((fault: unknown) => {
          // Its lease ends by itself.
          event["outcome"] = "left";
          event["fault"] = describeError(fault);
        });
      }
    });
  }

  async function settleFailure(
    job: JobRecord,
    item: ClaimedItem,
    error: unknown,
    event: LogEvent,
  ): Promise<void> {
    if (error instanceof AppError) {
      event["problem"] = error.code;
      event["internal"] = error.internal;
    }
    if (!(error instanceof AppError) || error.cause !== undefined) {
      event["cause"] = describeError(error);
    }
    const after = afterFailure(error, item.attempts, options.rules);
    event["outcome"] = after.kind;
    switch (after.kind) {
      case "record": {
        const recording = { state: "failed", problem: after.problem } as const;
        event["outcome"] = (await work.record(job.id, item, recording)) ? "failed" : "discarded";
        return;
      }
      case "again":
        return work.putBack(job.id, item, after.afterMs, false);
      case "pause":
        await work.pause(job.id, after.code, after.atLeastMs);
        return work.putBack(job.id, item, 0, true);
      case "return":
        return work.putBack(job.id, item, 0, true);
    }
  }

  /** Resolves to how many items were taken. */
  async function slice(job: JobRecord, on: Invocation): Promise<number> {
    const stopAt = now() + sliceMs;
    const broken = new AbortController();
    const running = new Set<Promise<void>>();
    let taken = 0;
    let isOpen = true;
    while (isOpen || running.size > 0) {
      if (isOpen) {
        const caller = await whoFor(job);
        if (caller instanceof AppError) {
          await jobs.end(job.id, "canceled", caller);
          isOpen = false;
          broken.abort();
        } else {
          const atOnce = Math.min(perJob, caller.limits.concurrency ?? perJob);
          const want = Math.min(atOnce - running.size, itemsPerSlice - taken);
          const leaseMs = itemTimeoutMs + leaseGraceMs;
          const claim = { jobId: job.id, want, perJob: atOnce, overall, leaseMs };
          const claimed = want > 0 && now() < stopAt ? await work.claim(claim) : [];
          taken += claimed.length;
          for (const item of claimed) {
            const done = one(job, item, caller, on, broken.signal).finally(() =>
              running.delete(done),
            );
            running.add(done);
          }
          if (taken >= itemsPerSlice || now() >= stopAt || running.size === 0) isOpen = false;
        }
      }
      if (running.size === 0) break;
      const somethingDone = await settlesWithin([...running], watchMs);
      if (!somethingDone && !broken.signal.aborted) {
        if ((await work.standing(job.id)) === undefined) {
          isOpen = false;
          broken.abort();
        }
      }
    }
    return taken;
  }

  return async (jobId, on) => {
    const job = await jobs.find(jobId);
    if (job === undefined || job.finished_at !== null) return;
    const taken = await slice(job, on);
    const standing = await work.standing(jobId);
    if (standing === undefined) {
      await dropFile(job.tenant, jobId);
      if (job.hook_url !== null) await queue.send({ kind: "hook", job: jobId });
      return;
    }
    const { nextDueAt, running } = standing;
    // What is left runs elsewhere, or someone else works on it.
    if (nextDueAt === undefined || (taken === 0 && running > 0)) return;
    const waitMs = Math.max(taken === 0 ? busyWaitMs : 0, nextDueAt - now());
    if (waitMs > longestHintMs) return;
    const delaySeconds = Math.ceil(waitMs / 1000);
    await queue.send({ kind: "run", job: jobId }, { delaySeconds });
  };
}

/** Whether one of them is done before the time is over. */
async function settlesWithin(running: readonly Promise<void>[], ms: number): Promise<boolean> {
  let stop = (): void => {};
  const over = new Promise<false>((resolve) => {
    const timer = setTimeout(() => resolve(false), ms);
    stop = () => clearTimeout(timer);
  });
  try {
    return await Promise.race([over, ...running.map((each) => each.then(() => true))]);
  } finally {
    stop();
  }
}
