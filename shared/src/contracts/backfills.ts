// /v1/backfills: the library of a connection's CMS, gone through picture by picture, behind what comes in fresh.
import { z } from "zod";
import { connectionIdSchema } from "./connections.ts";

export const backfillIdSchema = z
  .string()
  .regex(/^bkf_[0-9a-f]{32}$/, "must be bkf_ and 32 hex digits (lower case)");

/** paused: by a person until it is resumed, or until `resumes_at` by what holds up all of the connection. */
export const backfillStates = ["running", "paused", "done", "cancelled", "failed"] as const;

export const backfillPictures = ["untitled", "all"] as const;

/** Pictures a minute. */
export const defaultRate = 60;
const maxRate = 600;
const rateSchema = z
  .int()
  .min(1)
  .max(maxRate)
  .optional()
  .describe(`Pictures a minute, at most. Default ${defaultRate}.`);

export const createBackfillRequestSchema = z.strictObject({
  connection: connectionIdSchema,
  pictures: z
    .enum(backfillPictures)
    .optional()
    .describe(
      "untitled (the default): those without alt text; all: every picture, where the CMS can list them. Words of others are left alone all the same.",
    ),
  rate: rateSchema,
  limit: z.int().min(1).max(10_000_000).optional().describe("So many pictures and no more."),
  dry_run: z.boolean().optional().describe("Only counts them."),
});
export type CreateBackfillRequest = z.infer<typeof createBackfillRequestSchema>;

export const listBackfillsQuerySchema = z.strictObject({
  connection: connectionIdSchema.optional(),
  cursor: z
    .string()
    .regex(/^\d{1,15}$/, "must be the cursor of an answer")
    .optional(),
});

export const oneBackfillSchema = z.strictObject({ id: backfillIdSchema });
export const resumeBackfillSchema = z.strictObject({
  id: backfillIdSchema,
  rate: rateSchema.describe("Another rate from now on."),
});

const count = z.int().min(0);
export const backfillCountsSchema = z.object({
  found: count.describe("Pictures that the CMS named."),
  known: count.describe(
    "Of these, those that were asked about before and have words or a suggestion.",
  ),
  listed: count.describe("Of these, those that it takes up, or would."),
  waiting: count.describe("Their turn has not come."),
  queued: count.describe("In the inbox, or worked on."),
  written: count,
  suggested: count,
  skipped: count,
  failed: count,
  dead: count,
});
export type BackfillCounts = z.infer<typeof backfillCountsSchema>;

export const backfillSchema = z.object({
  id: backfillIdSchema,
  connection: connectionIdSchema,
  state: z.enum(backfillStates),
  reason: z.string().nullable().describe("Why it stands, or has trouble, as a word."),
  detail: z.string().nullable().describe("The same in a sentence."),
  resumes_at: z
    .string()
    .nullable()
    .describe("When it goes on by itself; null: it must be resumed."),
  pictures: z.enum(backfillPictures),
  rate: z.int(),
  limit: z.int().nullable(),
  dry_run: z.boolean(),
  listing: z.boolean().describe("The CMS is still asked what there is: `listed` may grow."),
  counts: backfillCountsSchema,
  left: count.describe("Of those listed, those that are not done."),
  left_s: count
    .nullable()
    .describe("The seconds that these take at the rate, or more; null: not known while it lists."),
  started_by: z.string().describe("The id of the key."),
  created_at: z.string(),
  ended_at: z.string().nullable(),
});
export type Backfill = z.infer<typeof backfillSchema>;

export const backfillListSchema = z.object({
  backfills: z.array(backfillSchema).describe("The newest first."),
  /** Where the next page begins; absent on the last. */
  cursor: z.string().optional(),
});
export type BackfillList = z.infer<typeof backfillListSchema>;
