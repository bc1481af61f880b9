// What those who work on jobs read and write in D1. An item is claimed with a lease; only who holds it may
// record, so an item is recorded exactly once, however many messages there are. A lease is a due time like
// any other: when it is over, the item is anyone's again.
import { jobTaskSchema, type JobTask } from "@blip2-edge/shared/contracts/jobs";
import { toProblem, type AppError, type ProblemCode } from "@blip2-edge/shared/problem";
import { z } from "zod";
import type { SqlValue } from "../auth/tables.ts";
import { endJobSql, openStates } from "./job-store.ts";
import type { JobTables } from "./tables.ts";

export interface ClaimedItem {
  readonly n: number;
  readonly task: JobTask;
  readonly inputAt: number;
  readonly inputBytes: number;
  /** This one counted. */
  readonly attempts: number;
  readonly lease: string;
}

export interface Claim {
  readonly jobId: string;
  /** The most items to take. */
  readonly want: number;
  /** The most that may run, of this job and of all. */
  readonly perJob: number;
  readonly overall: number;
  readonly leaseMs: number;
}

export type Recording =
  | { readonly state: "succeeded"; readonly resultBytes: number }
  | { readonly state: "failed"; readonly problem: AppError };

/** How things stand in a job that is not over. */
export interface Standing {
  /** When the next item may be tried; undefined when all that are left run. */
  readonly nextDueAt: number | undefined;
  /** Items that run under a lease that is not over. */
  readonly running: number;
}

export interface WorkStore {
  claim(claim: Claim): Promise<readonly ClaimedItem[]>;
  /** Whether it was recorded: false when the lease was no longer the item's. */
  record(jobId: string, item: ClaimedItem, recording: Recording): Promise<boolean>;
  /** Gives an item back, to be tried after `afterMs`; the attempt counts unless `free`. */
  putBack(jobId: string, item: ClaimedItem, afterMs: number, free: boolean): Promise<void>;
  /** Nothing of the job is claimed for a while: twice as long each time, until something succeeds. */
  pause(jobId: string, code: ProblemCode, atLeastMs: number): Promise<void>;
  /** Undefined when the job is over or gone. */
  standing(jobId: string): Promise<Standing | undefined>;
  /** Jobs on which nobody works though something is due since `before`. */
  overdue(before: number, limit: number): Promise<readonly string[]>;
  /** Jobs whose time is over. */
  expired(limit: number): Promise<readonly string[]>;
  /** Jobs to be deleted. */
  outdated(limit: number): Promise<readonly JobName[]>;
  /** Jobs that were over before `before` and whose requests are still there. */
  withFile(before: number, limit: number): Promise<readonly JobName[]>;
  fileDropped(jobId: string): Promise<void>;
}

export interface JobName {
  readonly id: string;
  readonly tenant: string;
}

export interface WorkStoreOptions {
  readonly table: JobTables;
  readonly keepMs: number;
  /** The first pause, and the longest. */
  readonly pauseMs: number;
  readonly maxPauseMs: number;
  readonly now?: () => number;
  readonly newLease?: () => string;
}

const claimedSchema = z.object({
  n: z.number(),
  task: jobTaskSchema,
  input_at: z.number(),
  input_bytes: z.number(),
  attempts: z.number(),
});
const jobIdsSchema = z.array(z.object({ id: z.string() }));

export function workStore(options: WorkStoreOptions): WorkStore {
  const { table, keepMs, pauseMs, maxPauseMs, now = Date.now } = options;
  const newLease = options.newLease ?? (() => crypto.randomUUID().replaceAll("-", ""));
  const prepared = (sql: string, ...values: SqlValue[]) => table.prepare(sql).bind(...values);
  const idsOf = async (sql: string, ...values: SqlValue[]): Promise<string[]> =>
    jobIdsSchema.parse((await prepared(sql, ...values).all()).results).map(({ id }) => id);
  const namesOf = async (sql: string, ...values: SqlValue[]): Promise<JobName[]> =>
    namesSchema.parse((await prepared(sql, ...values).all()).results);

  return {
    async claim({ jobId, want, perJob, overall, leaseMs }) {
      const lease = newLease();
      const at = now();
      const [, claimed] = await table.batch([
        prepared(
          "UPDATE jobs SET state = 'running', started_at = ?2 WHERE id = ?1 AND state = 'queued'",
          ...[jobId, at],
        ),
        // One statement, so no two claims count the same free places.
        prepared(
          `UPDATE job_items SET state = 'running', lease = ?2, due_at = ?3 + ?4, attempts = attempts + 1
           WHERE job_id = ?1 AND n IN (
             SELECT n FROM job_items WHERE job_id = ?1 AND state IN ('waiting', 'running') AND due_at <= ?3
             ORDER BY n LIMIT max(0, min(?5,
               ?6 - (SELECT count(*) FROM job_items WHERE job_id = ?1 AND state = 'running' AND due_at > ?3),
               ?7 - (SELECT count(*) FROM job_items WHERE state = 'running' AND due_at > ?3))))
           AND EXISTS (SELECT 1 FROM jobs WHERE id = ?1 AND state = 'running' AND paused_until <= ?3
             AND expires_at > ?3)
           RETURNING ${Object.keys(claimedSchema.shape).join(", ")}`,
          ...[jobId, lease, at, leaseMs, want, perJob, overall],
        ),
      ]);
      return (claimed?.results ?? [])
        .map((row) => claimedSchema.parse(row))
        .map(({ n, task, input_at: inputAt, input_bytes: inputBytes, attempts }) => ({
          ...{ n, task, inputAt, inputBytes, attempts, lease },
        }));
    },

    async record(jobId, { n, lease }, recording) {
      const at = now();
      const [recorded] = await table.batch([
        prepared(
          `UPDATE job_items SET state = ?4, finished_at = ?5, result_bytes = ?6, problem = ?7,
           seq = 1 + (SELECT coalesce(max(seq), 0) FROM job_items WHERE job_id = ?1)
           WHERE job_id = ?1 AND n = ?2 AND state = 'running' AND lease = ?3 RETURNING n`,
          ...[jobId, n, lease, recording.state, at],
          recording.state === "succeeded" ? recording.resultBytes : null,
          recording.state === "failed" ? JSON.stringify(toProblem(recording.problem)) : null,
        ),
        prepared(
          "UPDATE jobs SET paused_times = 0 WHERE id = ?1 AND paused_times > 0 AND paused_until <= ?2",
          ...[jobId, at],
        ),
        prepared(endJobSql, ...[jobId, at, keepMs, "completed", null]),
      ]);
      return (recorded?.results.length ?? 0) > 0;
    },

    async putBack(jobId, { n, lease }, afterMs, free) {
      await prepared(
        `UPDATE job_items SET state = 'waiting', due_at = ?4, attempts = attempts - ?5, lease = NULL
         WHERE job_id = ?1 AND n = ?2 AND state = 'running' AND lease = ?3`,
        ...[jobId, n, lease, now() + afterMs, free ? 1 : 0],
      ).run();
    },

    async pause(jobId, code, atLeastMs) {
      // Those that run at the same time meet the same fault: it counts once.
      await prepared(
        `UPDATE jobs SET paused_until = ?2 + max(?4, min(?6, ?5 << min(paused_times, 16))),
         paused_times = paused_times + 1, paused_code = ?3 WHERE id = ?1 AND paused_until <= ?2`,
        ...[jobId, now(), code, atLeastMs, pauseMs, maxPauseMs],
      ).run();
    },

    async standing(jobId) {
      const row = await prepared(
        `SELECT paused_until,
         (SELECT min(due_at) FROM job_items WHERE job_id = ?1 AND state = 'waiting') AS next_due_at,
         (SELECT count(*) FROM job_items WHERE job_id = ?1 AND state = 'running' AND due_at > ?2) AS running
         FROM jobs WHERE id = ?1 AND state IN ${openStates}`,
        ...[jobId, now()],
      ).first();
      if (row === null) return undefined;
      const { paused_until: pausedUntil, next_due_at: due, running } = standingSchema.parse(row);
      return { nextDueAt: due === null ? undefined : Math.max(due, pausedUntil), running };
    },

    overdue: (before, limit) =>
      idsOf(
        `SELECT id FROM jobs WHERE state IN ${openStates} AND paused_until <= ?1
         AND EXISTS (SELECT 1 FROM job_items WHERE job_id = jobs.id
           AND job_items.state IN ('waiting', 'running') AND due_at <= ?1)
         AND NOT EXISTS (SELECT 1 FROM job_items WHERE job_id = jobs.id
           AND job_items.state = 'running' AND due_at > ?2)
         LIMIT ?3`,
        ...[before, now(), limit],
      ),

    expired: (limit) =>
      idsOf(
        `SELECT id FROM jobs WHERE state IN ${openStates} AND expires_at <= ?1 LIMIT ?2`,
        ...[now(), limit],
      ),

    outdated: (limit) =>
      namesOf(
        "SELECT id, tenant FROM jobs WHERE keep_until IS NOT NULL AND keep_until <= ?1 LIMIT ?2",
        ...[now(), limit],
      ),

    withFile: (before, limit) =>
      namesOf(
        "SELECT id, tenant FROM jobs WHERE file_kept = 1 AND finished_at <= ?1 LIMIT ?2",
        ...[before, limit],
      ),

    async fileDropped(jobId) {
      await prepared("UPDATE jobs SET file_kept = 0 WHERE id = ?", jobId).run();
    },
  };
}

const standingSchema = z.object({
  paused_until: z.number(),
  next_due_at: z.number().nullable(),
  running: z.number(),
});
const namesSchema = z.array(z.object({ id: z.string(), tenant: z.string() }));
