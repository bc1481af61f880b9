// POST /v1/caption and GET /v1/caption: what goes in and what comes out.
import { z } from "zod";
import { finishReasonSchema, generationFields, usageSchema } from "./generation.ts";
import { imageIdSchema, imageInputSchema, imageUrlSchema } from "./image.ts";

/** Prompts and questions are bounded here; whether they fit the model's context the node decides. */
export const maxTextCharacters = 2000;
export const modelNameSchema = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9._-]{0,63}(@[a-z0-9-]{1,32})?$/,
    "must be the name of a model, such as blip2-opt-2.7b",
  );

/** The request without its picture: the part `request` of a multipart body. */
export const captionOptionsSchema = z.strictObject({
  prompt: z.string().min(1).max(maxTextCharacters).optional(),
  model: modelNameSchema.optional(),
  ...generationFields,
});
export const captionRequestSchema = captionOptionsSchema.extend({ image: imageInputSchema });
export type CaptionOptions = z.infer<typeof captionOptionsSchema>;
export type CaptionRequest = z.infer<typeof captionRequestSchema>;

/** Numbers arrive as text in a query; what is not a plain number is left for the schema to refuse. */
const asNumber = (value: unknown): unknown =>
  typeof value === "string" && /^-?\d{1,15}(\.\d{1,15})?$/.test(value) ? Number(value) : value;

/** GET /v1/caption: the fields as a query, the picture by its URL. */
export const captionQuerySchema = z.strictObject({
  url: imageUrlSchema,
  prompt: captionOptionsSchema.shape.prompt,
  model: captionOptionsSchema.shape.model,
  max_new_tokens: z.preprocess(asNumber, generationFields.max_new_tokens),
  min_new_tokens: z.preprocess(asNumber, generationFields.min_new_tokens),
  repetition_penalty: z.preprocess(asNumber, generationFields.repetition_penalty),
  no_repeat_ngram_size: z.preprocess(asNumber, generationFields.no_repeat_ngram_size),
});
export type CaptionQuery = z.infer<typeof captionQuerySchema>;

/** Read leniently, as every answer is: a later Worker may say more. */
export const captionResponseSchema = z.object({
  text: z.string(),
  image_id: imageIdSchema,
  model: z.string(),
  model_revision: z.string(),
  /** Mean log-probability per generated token, end token included (natural logarithm). */
  log_prob: z.number(),
  finish_reason: finishReasonSchema,
  usage: usageSchema,
});
export type CaptionResponse = z.infer<typeof captionResponseSchema>;
