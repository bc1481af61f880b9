// GET /v1/models: what can be asked for, in the shape that OpenAI's clients read.
import { z } from "zod";
import { modelNameSchema } from "./caption.ts";
import { modelRevisionSchema } from "../wire/protocol.ts";

/** Fields beyond `id`, `object`, `created` and `owned_by` are ours; OpenAI's clients pass over them. */
export const modelSchema = z.object({
  id: z.string(),
  object: z.literal("model"),
  /** Seconds since 1970; 0 when it is not known. */
  created: z.int(),
  owned_by: z.string(),
  model_revision: modelRevisionSchema,
  abilities: z.array(z.string()),
});
export type Model = z.infer<typeof modelSchema>;

export const oneModelRequestSchema = z.strictObject({ model: modelNameSchema });

export const modelListSchema = z.object({
  object: z.literal("list"),
  data: z.array(modelSchema),
});
export type ModelList = z.infer<typeof modelListSchema>;

/** GET /healthz: the Worker itself answers; it says nothing about nodes. */
export const healthSchema = z.object({ status: z.literal("ok") });
export type Health = z.infer<typeof healthSchema>;
