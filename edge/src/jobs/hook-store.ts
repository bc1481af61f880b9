// Which webhooks are due, in D1: claimed with a lease, so that a receiver is told by one at a time, and told
// again until it has said yes or the attempts are used up.
import { z } from "zod";
import type { SqlValue } from "../auth/tables.ts";
import { jobColumns, jobRecordSchema, type JobRecord } from "./job-record.ts";
import type { JobTables } from "./tables.ts";

export interface HookStore {
  /** The job, this attempt counted; undefined when its webhook is not due. */
  claim(jobId: string, leaseMs: number): Promise<JobRecord | undefined>;
  /** Null as `status`: nothing was answered. */
  settle(job: JobRecord, how: "delivered" | "failed", status: number | null): Promise<void>;
  retryAt(job: JobRecord, at: number, status: number | null): Promise<void>;
  due(limit: number): Promise<readonly string[]>;
}

export function hookStore(table: JobTables, now: () => number = Date.now): HookStore {
  const prepared = (sql: string, ...values: SqlValue[]) => table.prepare(sql).bind(...values);
  // Of an attempt that is not the last one any more nothing is written.
  const where = "WHERE id = ?1 AND hook_state = 'pending' AND hook_attempts = ?2";
  return {
    async claim(jobId, leaseMs) {
      const row = await prepared(
        `UPDATE jobs SET hook_attempts = hook_attempts + 1, hook_due_at = ?2 + ?3
         WHERE id = ?1 AND hook_state = 'pending' AND hook_due_at <= ?2 RETURNING ${jobColumns}`,
        ...[jobId, now(), leaseMs],
      ).first();
      return row === null ? undefined : jobRecordSchema.parse(row);
    },
    async settle({ id, hook_attempts: attempt }, how, status) {
      await prepared(
        `UPDATE jobs SET hook_state = ?3, hook_status = ?4, hook_due_at = NULL, hook_secret = NULL ${where}`,
        ...[id, attempt, how, status],
      ).run();
    },
    async retryAt({ id, hook_attempts: attempt }, at, status) {
      await prepared(
        `UPDATE jobs SET hook_due_at = ?3, hook_status = ?4 ${where}`,
        ...[id, attempt, at, status],
      ).run();
    },
    async due(limit) {
      const { results } = await prepared(
        "SELECT id FROM jobs WHERE hook_due_at IS NOT NULL AND hook_due_at <= ?1 ORDER BY hook_due_at LIMIT ?2",
        ...[now(), limit],
      ).all();
      return idsSchema.parse(results).map(({ id }) => id);
    },
  };
}

const idsSchema = z.array(z.object({ id: z.string() }));
