// Finds what no message will: jobs whose message was lost or whose Worker died, jobs whose time is over,
// webhooks that are due, and what has been kept long enough. Runs every minute; does a bounded part each time.
import { AppError } from "@blip2-edge/shared/problem";
import type { HookStore } from "./hook-store.ts";
import type { JobFiles } from "./job-files.ts";
import type { JobStore } from "./job-store.ts";
import type { JobQueue } from "./messages.ts";
import type { WorkStore } from "./work-store.ts";

export interface SweepRooms {
  readonly jobs: Pick<JobStore, "forget">;
  readonly work: Pick<WorkStore, "overdue" | "expired" | "outdated" | "withFile">;
  readonly files: Pick<JobFiles, "dropAll">;
  /** Drops the requests of a job that is over. */
  readonly dropFile: (tenant: string, jobId: string) => Promise<void>;
  readonly hooks: Pick<HookStore, "due">;
  readonly queue: JobQueue;
  readonly end: (jobId: string, how: "expired", why: AppError) => Promise<void>;
  /** A job that has just been queued is left to its message. */
  readonly graceMs: number;
  readonly now?: () => number;
}

export interface Swept {
  readonly queued: number;
  readonly expired: number;
  readonly hooks: number;
  readonly deleted: number;
}

const perSweep = { queued: 200, expired: 50, hooks: 200, deleted: 20 } as const;

export function jobSweep(rooms: SweepRooms): () => Promise<Swept> {
  const { jobs, work, files, hooks, queue, dropFile, end, graceMs, now = Date.now } = rooms;
  return async () => {
    const expired = await work.expired(perSweep.expired);
    for (const id of expired) {
      await end(id, "expired", new AppError("deadline_exceeded", "The job's time was over."));
    }
    const overdue = await work.overdue(now() - graceMs, perSweep.queued);
    for (const job of overdue) await queue.send({ kind: "run", job });
    const due = await hooks.due(perSweep.hooks);
    for (const job of due) await queue.send({ kind: "hook", job });
    const withFile = await work.withFile(now() - graceMs, perSweep.deleted);
    for (const { id, tenant } of withFile) await dropFile(tenant, id);
    const outdated = await work.outdated(perSweep.deleted);
    for (const { id, tenant } of outdated) {
      await files.dropAll(tenant, id);
      await jobs.forget(id);
    }
    return {
      queued: overdue.length,
      expired: expired.length,
      hooks: due.length,
      deleted: outdated.length,
    };
  };
}
