// The words edge and node exchange, version 1. Goldens of these messages are committed and every later
// version must still read them. Images travel as canonical pixels only, never as files.
// Requests are strict; answers are read leniently, so that a newer node may say more.
import { z } from "zod";
import {
  finishReasonSchema,
  generationSchema,
  moreOfAnswer,
  returnedSequenceSchema,
  usageSchema,
} from "../contracts/generation.ts";
import { imageIdSchema } from "../contracts/image.ts";

/** Sent by both sides as the header `Blip2-Protocol`. */
export const protocolVersion = "1";
export const protocolHeader = "blip2-protocol";

/** Model revision: 16 hex digits (see the node's artifact/manifest). */
export const modelRevisionSchema = z.string().regex(/^[0-9a-f]{16}$/);

/** Tells a node which cached features belong together without telling it whose they are (HMAC, hex). */
export const partitionTagSchema = z.string().regex(/^[0-9a-f]{32}$/);

/**
 * The JSON of POST /v1/infer. Sent alone (`application/json`) when the node is believed to hold the
 * image, else as the first part of `multipart/related`, the second being size*size*3 bytes of RGB.
 * Each text is one generation over the same image: null asks for a plain caption, a string is passed
 * to the model as it stands (templates are applied by the edge).
 */
export const inferRequestSchema = z.strictObject({
  model: z.string().min(1).max(100),
  model_revision: modelRevisionSchema,
  partition: partitionTagSchema,
  image: z.strictObject({ image_id: imageIdSchema, size: z.int().min(14).max(1024) }),
  texts: z.array(z.string().max(8192).nullable()).min(1).max(16),
  generation: generationSchema,
  /** How long the edge will wait from now, in milliseconds. */
  deadline_ms: z.int().min(1).max(600_000),
});
export type InferRequest = z.infer<typeof inferRequestSchema>;

export const inferResultSchema = z.object({
  /** The generated text alone, without the prompt, stripped. */
  text: z.string(),
  /** Generated ids, end token included. */
  token_ids: z.array(z.int()),
  finish_reason: finishReasonSchema,
  log_prob: z.number(),
  usage: usageSchema,
  /** All sequences, best first, of which the fields above are the first; absent when one was asked for. */
  sequences: z.array(returnedSequenceSchema.extend({ token_ids: z.array(z.int()) })).optional(),
  notes: moreOfAnswer.notes,
});
export type InferResult = z.infer<typeof inferResultSchema>;

export const inferResponseSchema = z.object({
  model: z.string(),
  model_revision: modelRevisionSchema,
  image_id: imageIdSchema,
  /** In the order of `texts`. */
  results: z.array(inferResultSchema),
  /** Vision passes that this call cost: 0 when the features were still held. */
  vision_passes: z.int(),
});
export type InferResponse = z.infer<typeof inferResponseSchema>;

export const catalogModelSchema = z.object({
  model: z.string(),
  model_revision: modelRevisionSchema,
  family: z.enum(["opt", "t5"]),
  /** Side of the model's square input in pixels. */
  image_size: z.int(),
  abilities: z.array(z.enum(["caption", "vqa"])),
  /** Where `{}` stands for the question. */
  question_template: z.string(),
});
export type CatalogModel = z.infer<typeof catalogModelSchema>;

/** GET /v1/catalog. */
export const catalogSchema = z.object({
  models: z.array(catalogModelSchema),
});
export type Catalog = z.infer<typeof catalogSchema>;
