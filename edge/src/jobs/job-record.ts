// A job as table jobs holds it, and what the API tells of it.
import {
  jobTaskSchema,
  type Job,
  type JobCounts,
  type JobDefaults,
} from "@blip2-edge/shared/contracts/jobs";
import { problemKinds, type Problem, type ProblemCode } from "@blip2-edge/shared/problem";
import { z } from "zod";

const time = z.number().nullable();
const text = z.string().nullable();
const fromJson = <Schema extends z.ZodType>(schema: Schema) =>
  z
    .string()
    .transform((stored): unknown => JSON.parse(stored))
    .pipe(schema);
const countByState = z.record(z.string(), z.number());
const isProblem = (value: unknown): value is Problem =>
  typeof value === "object" &&
  value !== null &&
  isProblemCode((value as { readonly code?: unknown }).code);
const isProblemCode = (value: unknown): value is ProblemCode =>
  typeof value === "string" && Object.hasOwn(problemKinds, value);

/** A problem as it was when it was written. */
export const storedProblemSchema = fromJson(z.custom<Problem>(isProblem));

export const jobRecordSchema = z.object({
  id: z.string(),
  tenant: z.string(),
  key_id: z.string(),
  name: text,
  state: z.enum(["queued", "running", "completed", "canceled", "expired", "deleted"]),
  total: z.number(),
  defaults: fromJson(
    z.object({
      task: jobTaskSchema.optional(),
      parameters: z.record(z.string(), z.unknown()).optional(),
    }) satisfies z.ZodType<JobDefaults>,
  ),
  created_at: z.number(),
  started_at: time,
  finished_at: time,
  expires_at: z.number(),
  keep_until: time,
  /** Items by state; written once, when the job is over. */
  counts: fromJson(countByState).nullable(),
  problem: storedProblemSchema.nullable(),
  paused_until: z.number(),
  paused_code: text,
  hook_url: text,
  hook_secret: text,
  hook_state: z.enum(["waiting", "pending", "delivered", "failed"]).nullable(),
  hook_attempts: z.number(),
  hook_due_at: time,
  hook_status: z.number().nullable(),
});
export type JobRecord = z.output<typeof jobRecordSchema>;
export const jobColumns = Object.keys(jobRecordSchema.shape).join(", ");

/** How many items are in which state. */
export type CountByState = z.infer<typeof countByState>;

const written = (at: number | null): string | null =>
  at === null ? null : new Date(at).toISOString();

function countsOf({ total, counts }: JobRecord, counted: CountByState): JobCounts {
  const of = (state: string): number => (counts ?? counted)[state] ?? 0;
  return {
    total,
    waiting: of("waiting"),
    running: of("running"),
    succeeded: of("succeeded"),
    failed: of("failed"),
    canceled: of("canceled"),
  };
}

/** `counted` is needed of a job that is not over. */
export function jobOf(record: JobRecord, counted: CountByState, now: number): Job {
  const { state, name, problem, paused_code: code, paused_until: until } = record;
  if (state === "deleted") throw new Error("a deleted job is shown to nobody");
  const isPaused = (state === "queued" || state === "running") && until > now;
  return {
    id: record.id,
    ...(name === null ? {} : { name }),
    state,
    counts: countsOf(record, counted),
    key_id: record.key_id,
    created_at: new Date(record.created_at).toISOString(),
    started_at: written(record.started_at),
    finished_at: written(record.finished_at),
    expires_at: new Date(record.expires_at).toISOString(),
    results_until: written(record.keep_until),
    ...(isPaused && isProblemCode(code)
      ? { paused: { code, until: new Date(until).toISOString() } }
      : {}),
    ...(problem === null ? {} : { problem }),
    ...(record.hook_url === null || record.hook_state === null
      ? {}
      : {
          webhook: {
            url: record.hook_url,
            state: record.hook_state,
            attempts: record.hook_attempts,
            next_attempt_at: record.hook_state === "pending" ? written(record.hook_due_at) : null,
            last_status: record.hook_status,
          },
        }),
  };
}
