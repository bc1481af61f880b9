// Jobs as their tenant sees them, in D1: made, read, listed, ended, deleted. The tenant is part of every
// statement, so a job of another is as unknown as none at all. A job ends once: what comes later changes
// nothing, and its counts are then written down for good.
import type { JobDefaults, JobTask } from "@blip2-edge/shared/contracts/jobs";
import { AppError, toProblem } from "@blip2-edge/shared/problem";
import { z } from "zod";
import type { SqlValue } from "../auth/tables.ts";
import {
  jobColumns,
  jobRecordSchema,
  storedProblemSchema,
  type CountByState,
  type JobRecord,
} from "./job-record.ts";
import type { JobTables } from "./tables.ts";

export interface NewItem {
  readonly id: string | undefined;
  readonly task: JobTask;
  /** Where its request lies in the job's file. */
  readonly at: number;
  readonly bytes: number;
}

export interface NewJob {
  readonly id: string;
  readonly tenant: string;
  readonly keyId: string;
  readonly name: string | undefined;
  readonly defaults: JobDefaults;
  readonly items: readonly NewItem[];
  readonly expiresAt: number;
  readonly webhook: { readonly url: string; readonly sealedSecret: string } | undefined;
}

export interface RecordedItem {
  readonly n: number;
  readonly id: string | null;
  readonly task: JobTask;
  readonly state: "succeeded" | "failed" | "canceled";
  readonly lease: string | null;
  readonly attempts: number;
  readonly seq: number;
  readonly result_bytes: number | null;
  readonly problem: z.output<typeof storedProblemSchema> | null;
  readonly finished_at: number;
}

export interface JobStoreOptions {
  readonly table: JobTables;
  /** How long a job that is over is kept. */
  readonly keepMs: number;
  /** Jobs of a tenant that are not over. */
  readonly maxOpen: number;
  readonly now?: () => number;
}

export interface JobStore {
  /** The same id again changes nothing. Throws too_many_jobs. */
  create(job: NewJob): Promise<JobRecord>;
  /** Throws not_found. */
  read(tenant: string, id: string): Promise<JobRecord>;
  /** Whoever's it is; undefined when there is none, or when it is deleted. */
  find(id: string): Promise<JobRecord | undefined>;
  list(
    tenant: string,
    cursor: string | undefined,
  ): Promise<{ readonly jobs: readonly JobRecord[]; readonly cursor: string | undefined }>;
  /** Of jobs that are not over. */
  counts(ids: readonly string[]): Promise<ReadonlyMap<string, CountByState>>;
  recorded(id: string, after: number, limit: number): Promise<readonly RecordedItem[]>;
  /** Ends a job that is not over: what is not done is canceled. */
  end(id: string, how: "canceled" | "expired", why?: AppError): Promise<void>;
  /** From here on nobody sees it; its files may go, then `forget` it. Throws not_found. */
  markDeleted(tenant: string, id: string): Promise<void>;
  forget(id: string): Promise<void>;
}

const pageSize = 20;
const itemsPerStatement = 1000;
export const openStates = "('queued', 'running')";
const openItems = "('waiting', 'running')";

const unknownJob = (): AppError => new AppError("not_found", "There is no job with this id.");

const recordedSchema = z.object({
  n: z.number(),
  id: z.string().nullable(),
  task: z.custom<JobTask>((value) => typeof value === "string"),
  state: z.enum(["succeeded", "failed", "canceled"]),
  lease: z.string().nullable(),
  attempts: z.number(),
  seq: z.number(),
  result_bytes: z.number().nullable(),
  problem: storedProblemSchema.nullable(),
  finished_at: z.number(),
}) satisfies z.ZodType<RecordedItem>;
const recordedColumns = Object.keys(recordedSchema.shape).join(", ");

/**
 * Writes the end of a job down (?1 its id, ?2 now, ?3 how long it is kept, ?4 its last state, ?5 why), and that
 * its webhook is due. Runs after its last item is recorded, in the same transaction.
 */
export const endJobSql = `UPDATE jobs SET state = ?4, finished_at = ?2, keep_until = ?2 + ?3, problem = ?5,
  hook_state = CASE WHEN hook_url IS NULL THEN NULL ELSE 'pending' END,
  hook_due_at = CASE WHEN hook_url IS NULL THEN NULL ELSE ?2 END,
  counts = (SELECT json_group_object(state, items) FROM
    (SELECT state, count(*) AS items FROM job_items WHERE job_id = ?1 GROUP BY state))
  WHERE id = ?1 AND state IN ${openStates}
  AND NOT EXISTS (SELECT 1 FROM job_items WHERE job_id = ?1 AND state IN ${openItems})`;

export function jobStore({ table, keepMs, maxOpen, now = Date.now }: JobStoreOptions): JobStore {
  const prepared = (sql: string, ...values: SqlValue[]) => table.prepare(sql).bind(...values);
  const find = async (id: string, tenant?: string): Promise<JobRecord | undefined> => {
    const row = await prepared(
      `SELECT ${jobColumns} FROM jobs WHERE id = ?1 AND (?2 IS NULL OR tenant = ?2) AND state <> 'deleted'`,
      ...[id, tenant ?? null],
    ).first();
    return row === null ? undefined : jobRecordSchema.parse(row);
  };

  return {
    async create({ id, tenant, keyId, name, defaults, items, expiresAt, webhook }) {
      const at = now();
      const job: Record<string, SqlValue> = {
        ...{ id, tenant, key_id: keyId, name: name ?? null, state: "queued", total: items.length },
        ...{ defaults: JSON.stringify(defaults), created_at: at, expires_at: expiresAt },
        hook_url: webhook?.url ?? null,
        hook_secret: webhook?.sealedSecret ?? null,
        hook_state: webhook === undefined ? null : "waiting",
      };
      const names = Object.keys(job);
      const values = Object.values(job);
      const last = values.length;
      const rows = items.map(({ id: own, task, at: start, bytes }, n) => [
        ...[n, own ?? null, task, start, bytes],
      ]);
      const chunks = Array.from(
        { length: Math.ceil(rows.length / itemsPerStatement) },
        (_, index) =>
          JSON.stringify(rows.slice(index * itemsPerStatement, (index + 1) * itemsPerStatement)),
      );
      await table.batch([
        prepared(
          `INSERT INTO jobs (${names.join(", ")}) SELECT ${names.map((_, index) => `?${index + 1}`).join(", ")}
           WHERE (SELECT count(*) FROM jobs WHERE tenant = ?${last + 1} AND state IN ${openStates}) < ?${last + 2}
           ON CONFLICT (id) DO NOTHING`,
          ...[...values, tenant, maxOpen],
        ),
        ...chunks.map((chunk) =>
          prepared(
            `INSERT INTO job_items (job_id, n, id, task, input_at, input_bytes, due_at)
             SELECT ?1, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, ?2
             FROM json_each(?3) WHERE value ->> 0 < (SELECT total FROM jobs WHERE id = ?1)
             ON CONFLICT (job_id, n) DO NOTHING`,
            ...[id, at, chunk],
          ),
        ),
      ]);
      const made = await find(id, tenant);
      if (made !== undefined) return made;
      throw new AppError(
        "too_many_jobs",
        `At most ${maxOpen} jobs may be open at a time. Wait until one is over, or cancel one.`,
        { retryAfterS: 60 },
      );
    },

    async read(tenant, id) {
      const job = await find(id, tenant);
      if (job === undefined) throw unknownJob();
      return job;
    },
    find,

    async list(tenant, cursor) {
      const { results } = await prepared(
        `SELECT ${jobColumns}, rowid AS page FROM jobs WHERE tenant = ?1 AND state <> 'deleted'
         AND (?2 IS NULL OR rowid < ?2) ORDER BY rowid DESC LIMIT ?3`,
        ...[tenant, cursor === undefined ? null : Number(cursor), pageSize + 1],
      ).all();
      const page = results.slice(0, pageSize);
      const last = page.at(-1) as { readonly page: number } | undefined;
      return {
        jobs: page.map((row) => jobRecordSchema.parse(row)),
        cursor: results.length > pageSize && last !== undefined ? String(last.page) : undefined,
      };
    },

    async counts(ids) {
      const counted = new Map<string, Record<string, number>>();
      if (ids.length === 0) return counted;
      const { results } = await prepared(
        `SELECT job_id, state, count(*) AS items FROM job_items
         WHERE job_id IN (SELECT value FROM json_each(?)) GROUP BY job_id, state`,
        JSON.stringify(ids),
      ).all();
      for (const row of results) {
        const { job_id, state, items } = countSchema.parse(row);
        counted.set(job_id, { ...counted.get(job_id), [state]: items });
      }
      return counted;
    },

    async recorded(id, after, limit) {
      const { results } = await prepared(
        `SELECT ${recordedColumns} FROM job_items WHERE job_id = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3`,
        ...[id, after, limit],
      ).all();
      return results.map((row) => recordedSchema.parse(row));
    },

    async end(id, how, why) {
      const at = now();
      const problem = why === undefined ? null : JSON.stringify(toProblem(why));
      await table.batch([
        // Behind every number that was given: at most `total` of them are.
        prepared(
          `UPDATE job_items SET state = 'canceled', lease = NULL, finished_at = ?2,
           seq = n + 1 + (SELECT total FROM jobs WHERE id = ?1)
           WHERE job_id = ?1 AND state IN ${openItems}`,
          ...[id, at],
        ),
        prepared(endJobSql, ...[id, at, keepMs, how, problem]),
      ]);
    },

    async markDeleted(tenant, id) {
      const [jobs] = await table.batch([
        prepared(
          `UPDATE jobs SET state = 'deleted', keep_until = 0, hook_due_at = NULL, hook_secret = NULL
           WHERE id = ?1 AND tenant = ?2 AND state <> 'deleted' RETURNING id`,
          ...[id, tenant],
        ),
        prepared(
          `UPDATE job_items SET state = 'canceled', lease = NULL WHERE job_id = ?1 AND state IN ${openItems}
           AND EXISTS (SELECT 1 FROM jobs WHERE id = ?1 AND state = 'deleted')`,
          id,
        ),
      ]);
      if (jobs === undefined || jobs.results.length === 0) throw unknownJob();
    },

    async forget(id) {
      await table.batch([
        prepared("DELETE FROM job_items WHERE job_id = ?", id),
        prepared("DELETE FROM jobs WHERE id = ?", id),
      ]);
    },
  };
}

const countSchema = z.object({ job_id: z.string(), state: z.string(), items: z.number() });
