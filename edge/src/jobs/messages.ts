// What travels in the queue of jobs: hints that there may be something to do. Any of them may be lost, come
// twice or come late.
import { jobIdSchema } from "@blip2-edge/shared/contracts/jobs";
import { z } from "zod";

export const jobMessageSchema = z.object({
  /** run: work on its items; hook: tell its webhook. */
  kind: z.enum(["run", "hook"]),
  job: jobIdSchema,
});
export type JobMessage = z.infer<typeof jobMessageSchema>;

/** What the rooms need of a queue. */
export interface JobQueue {
  send(message: JobMessage, options?: { delaySeconds: number }): Promise<unknown>;
}
