// /v1/jobs: many pictures in one request, worked off in the background. An item is what a single route
// takes (a picture and that route's parameters), and its result is what that route would have answered.
import { z } from "zod";
import { captionOptionsSchema } from "./caption.ts";
import { classifyOptionsSchema } from "./classify.ts";
import { embedOptionsSchema } from "./embed.ts";
import { imageInputSchema } from "./image.ts";
import { imagePutRequestSchema } from "./images.ts";
import { matchOptionsSchema } from "./match.ts";
import { problemCodes, problemSchema } from "./problem.ts";
import { vqaOptionsSchema } from "./vqa.ts";

/** What may be asked about a picture, and how the parameters of each look: those of the single routes. */
export const jobParameters = {
  caption: captionOptionsSchema,
  vqa: vqaOptionsSchema,
  match: matchOptionsSchema,
  classify: classifyOptionsSchema,
  embed: embedOptionsSchema,
  /** Of PUT /v1/namespaces/{namespace}/images/{id}, what its path names too. */
  index: imagePutRequestSchema.omit({ image: true }),
} as const;
export type JobTask = keyof typeof jobParameters;
export const jobTaskSchema = z.enum(["caption", "vqa", "match", "classify", "embed", "index"]);

export const maxJobItems = 10_000;
export const defaultJobSeconds = 86_400;
const maxJobSeconds = 7 * 86_400;
export const maxResultsPerPage = 100;

export const jobIdSchema = z
  .string()
  .regex(/^job_[0-9a-f]{32}$/, "must be job_ and 32 hex digits (lower case)");

const parametersSchema = z
  .record(z.string(), z.unknown())
  .describe("The fields of the task's own route, without the image.");

const jobItemSchema = z.strictObject({
  id: z
    .string()
    .min(1)
    .max(128)
    .optional()
    .describe("The caller's own name of the item, given back with its result."),
  image: imageInputSchema,
  task: jobTaskSchema.optional().describe("Instead of the job's."),
  parameters: parametersSchema.optional().describe("Instead of the job's."),
});
export type JobItem = z.infer<typeof jobItemSchema>;

/** What the items of a job share: an item that names no task takes these. */
export interface JobDefaults {
  readonly task?: JobTask | undefined;
  readonly parameters?: Readonly<Record<string, unknown>> | undefined;
}

/** What an item asks for: its own, or the job's; a task of its own goes with parameters of its own. */
export function askedOf(
  item: JobDefaults,
  defaults: JobDefaults,
): { readonly task: JobTask | undefined; readonly parameters: Readonly<Record<string, unknown>> } {
  if (item.task !== undefined) return { task: item.task, parameters: item.parameters ?? {} };
  return { task: defaults.task, parameters: item.parameters ?? defaults.parameters ?? {} };
}

/** 24 to 64 bytes, as the Standard Webhooks specification has it. */
const webhookSecretSchema = z
  .string()
  .regex(
    /^whsec_(?:[A-Za-z0-9+/]{4}){8,21}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/,
    "must be whsec_ and 24 to 64 bytes in base64",
  );

export const createJobRequestSchema = z
  .strictObject({
    name: z.string().trim().min(1).max(100).optional(),
    task: jobTaskSchema.optional().describe("Of the items that name none."),
    parameters: parametersSchema.optional().describe("Of the items that have none."),
    items: z.array(jobItemSchema).min(1).max(maxJobItems),
    expires_in_s: z
      .int()
      .min(60)
      .max(maxJobSeconds)
      .optional()
      .describe("After so long what is not done is given up. Default a day."),
    webhook: z
      .strictObject({
        url: z.string().min(1).max(2048),
        secret: webhookSecretSchema.describe("Signs the message (Standard Webhooks)."),
      })
      .optional()
      .describe("Told once the job is over."),
  })
  .superRefine(({ task, parameters, items }, context) => {
    const defaults: JobDefaults = { task, parameters };
    let sharedIsChecked = false;
    const seen = new Set<string>();
    items.forEach((item, index) => {
      if (item.id !== undefined && seen.has(item.id)) {
        context.addIssue({
          code: "custom",
          path: ["items", index, "id"],
          message: "is the id of an earlier item",
        });
      }
      if (item.id !== undefined) seen.add(item.id);
      const asked = askedOf(item, defaults);
      if (asked.task === undefined) {
        context.addIssue({
          code: "custom",
          path: ["items", index, "task"],
          message: "is missing, here and for the whole job",
        });
        return;
      }
      const own = item.task !== undefined || item.parameters !== undefined;
      // What all items share is checked, and found fault with, once.
      if (!own && sharedIsChecked) return;
      if (!own) sharedIsChecked = true;
      const parsed = jobParameters[asked.task].safeParse(asked.parameters);
      const at = own ? ["items", index, "parameters"] : ["parameters"];
      if (asked.parameters["stream"] !== undefined) {
        context.addIssue({
          code: "custom",
          path: [...at, "stream"],
          message: "is for requests that somebody waits for",
        });
      }
      for (const issue of parsed.error?.issues ?? []) {
        context.addIssue({ ...issue, path: [...at, ...issue.path] });
      }
    });
  });
export type CreateJobRequest = z.infer<typeof createJobRequestSchema>;

export const oneJobRequestSchema = z.strictObject({ id: jobIdSchema });

const cursorSchema = z
  .string()
  .regex(/^\d{1,15}$/, "must be the cursor of an answer")
  .optional();

export const listJobsQuerySchema = z.strictObject({ cursor: cursorSchema });

export const jobResultsQuerySchema = z.strictObject({
  id: jobIdSchema,
  cursor: cursorSchema,
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(maxResultsPerPage)
    .optional()
    .describe("The most results of one answer; fewer are given where they are long."),
  format: z
    .enum(["json", "ndjson"])
    .optional()
    .describe(
      "ndjson: one result a line (application/x-ndjson); where to go on stands in the header Link.",
    ),
});

export const jobStates = ["queued", "running", "completed", "canceled", "expired"] as const;
export type JobState = (typeof jobStates)[number];

const countsSchema = z.object({
  total: z.int(),
  waiting: z.int(),
  running: z.int(),
  succeeded: z.int(),
  failed: z.int(),
  canceled: z.int(),
});
export type JobCounts = z.infer<typeof countsSchema>;

export const jobSchema = z.object({
  id: jobIdSchema,
  name: z.string().optional(),
  state: z.enum(jobStates),
  counts: countsSchema,
  /** The key that made it, whose quotas it spends. */
  key_id: z.string(),
  created_at: z.string(),
  started_at: z.string().nullable(),
  finished_at: z.string().nullable(),
  expires_at: z.string().describe("When what is not done is given up."),
  results_until: z
    .string()
    .nullable()
    .describe("When the job and its results are deleted; null until it is over."),
  paused: z
    .object({ code: z.enum(problemCodes), until: z.string() })
    .optional()
    .describe("Why nothing moves for now: a quota is used up, or no node can answer."),
  problem: problemSchema.optional().describe("Why the job was ended before it was done."),
  webhook: z
    .object({
      url: z.string(),
      state: z.enum(["waiting", "pending", "delivered", "failed"]),
      attempts: z.int(),
      next_attempt_at: z.string().nullable(),
      last_status: z
        .int()
        .nullable()
        .describe("What the receiver answered last; null when it did not."),
    })
    .optional(),
});
export type Job = z.infer<typeof jobSchema>;

export const jobListSchema = z.object({
  jobs: z.array(jobSchema).describe("The newest first."),
  /** Where the next page begins; absent on the last. */
  cursor: z.string().optional(),
});
export type JobList = z.infer<typeof jobListSchema>;

export const jobDeletedSchema = z.object({ id: jobIdSchema, deleted: z.literal(true) });
export type JobDeleted = z.infer<typeof jobDeletedSchema>;

export const jobResultSchema = z.object({
  index: z.int().describe("Of the item, from 0."),
  id: z.string().optional().describe("The caller's own name of it."),
  task: jobTaskSchema,
  status: z
    .enum(["succeeded", "failed", "canceled"])
    .describe("canceled: the job was over before it was done."),
  result: z
    .record(z.string(), z.unknown())
    .optional()
    .describe("What the task's own route would have answered."),
  problem: problemSchema.optional(),
  attempts: z.int(),
  finished_at: z.string(),
});
export type JobResult = z.infer<typeof jobResultSchema>;

export const jobResultsSchema = z.object({
  results: z.array(jobResultSchema).describe("In the order in which they were recorded."),
  cursor: z
    .string()
    .optional()
    .describe(
      "Where what is recorded next begins: to be asked for again while the job runs. Absent once the job is over and all is given.",
    ),
});
export type JobResults = z.infer<typeof jobResultsSchema>;
