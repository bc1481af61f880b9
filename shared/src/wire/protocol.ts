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
import { calibrationSchema } from "./calibration.ts";

/** Sent by both sides as the header `Blip2-Protocol`. */
export const protocolVersion = "1";
export const protocolHeader = "blip2-protocol";

/** Model revision: 16 hex digits (see the node's artifact/manifest). */
export const modelRevisionSchema = z.string().regex(/^[0-9a-f]{16}$/);

/** Tells a node which cached features belong together without telling it whose they are (HMAC, hex). */
export const partitionTagSchema = z.string().regex(/^[0-9a-f]{32}$/);

export const imageReferenceSchema = z.strictObject({
  image_id: imageIdSchema,
  size: z.int().min(14).max(1024),
});

/** How long the edge will wait from now, in milliseconds. */
export const deadlineMsSchema = z.int().min(1).max(600_000);

/** Bulk is for what nobody sits and waits for: it gives way, and is the first to be refused. Left out: interactive. */
export const prioritySchema = z.enum(["interactive", "bulk"]);

/** Texts compared with one image in one request. */
export const maxMatchTexts = 64;

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
  image: imageReferenceSchema,
  texts: z.array(z.string().max(8192).nullable()).min(1).max(16),
  generation: generationSchema,
  deadline_ms: deadlineMsSchema,
  priority: prioritySchema.optional(),
  /** Answer with server-sent events as the texts are written: see wire/events.ts. */
  stream: z.boolean().optional(),
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

/** ITC costs one pass over the texts alone, ITM one pass over each text with the image. */
export const scoreNames = ["itm", "itc"] as const;
export type ScoreName = (typeof scoreNames)[number];

/** Of a retrieval model: how well texts fit one image. Framed as POST /v1/infer is. */
export const matchRequestSchema = z.strictObject({
  model: z.string().min(1).max(100),
  model_revision: modelRevisionSchema,
  partition: partitionTagSchema,
  image: imageReferenceSchema,
  texts: z.array(z.string().min(1).max(8192)).min(1).max(maxMatchTexts),
  scores: z.array(z.enum(scoreNames)).min(1).max(scoreNames.length),
  deadline_ms: deadlineMsSchema,
  priority: prioritySchema.optional(),
});
export type MatchRequest = z.infer<typeof matchRequestSchema>;

/** The answer of POST /v1/match. */
export const matchResponseSchema = z.object({
  model: z.string(),
  model_revision: modelRevisionSchema,
  image_id: imageIdSchema,
  /** In the order of `texts`; the scores that were asked for. */
  matches: z.array(
    z.object({
      /** Image-text matching: the probability that the text describes the image. */
      itm: z.number().optional(),
      /** Image-text contrastive: the best cosine of a query vector with the text's vector. */
      itc: z.number().optional(),
    }),
  ),
  vision_passes: z.int(),
});
export type MatchResponse = z.infer<typeof matchResponseSchema>;

/** projected: the normalised vectors that ITC compares; query: the Q-Former's raw output. */
export const featureNames = ["projected", "query"] as const;
export type FeatureName = (typeof featureNames)[number];

const embedFields = {
  model: z.string().min(1).max(100),
  model_revision: modelRevisionSchema,
  features: z.enum(featureNames),
  deadline_ms: deadlineMsSchema,
  priority: prioritySchema.optional(),
} as const;
/** POST /v1/embed: one image (framed as POST /v1/infer is) or several texts. */
export const embedRequestSchema = z.union([
  z.strictObject({
    ...embedFields,
    partition: partitionTagSchema,
    image: imageReferenceSchema,
  }),
  z.strictObject({
    ...embedFields,
    texts: z.array(z.string().min(1).max(8192)).min(1).max(maxMatchTexts),
  }),
]);
export type EmbedRequest = z.infer<typeof embedRequestSchema>;

/** Written and read by wire/embedding.ts. */
export const embeddingSchema = z.object({
  /** image: [queries, dim]; text: [dim] projected, [tokens, hidden] query. */
  dims: z.array(z.int()).min(1).max(2),
  /** float32, little endian, in base64. */
  data: z.base64(),
});
export type Embedding = z.infer<typeof embeddingSchema>;

/** The answer of POST /v1/embed. */
export const embedResponseSchema = z.object({
  model: z.string(),
  model_revision: modelRevisionSchema,
  /** One for the image, or one per text in their order. */
  embeddings: z.array(embeddingSchema),
  vision_passes: z.int(),
});
export type EmbedResponse = z.infer<typeof embedResponseSchema>;

/** What a model may be asked for. A node may name more, which an older edge does not know. */
export const abilities = ["caption", "vqa", "match", "embed"] as const;
export type Ability = (typeof abilities)[number];

export const catalogModelSchema = z.object({
  model: z.string(),
  model_revision: modelRevisionSchema,
  /** opt, t5, retrieval, or what a newer node has. */
  family: z.string(),
  /** Side of the model's square input in pixels. */
  image_size: z.int(),
  abilities: z.array(z.string()),
  /** Where `{}` stands for the question; absent where nothing is asked. */
  question_template: z.string().optional(),
  /** What its precision recipe is called; part of what the revision is a digest of. */
  precision: z.string().optional(),
  /** Of this very revision; one that the reader does not understand counts as none. */
  calibration: calibrationSchema.optional().catch(undefined),
});
export type CatalogModel = z.infer<typeof catalogModelSchema>;

/** GET /v1/catalog. */
export const catalogSchema = z.object({
  models: z.array(catalogModelSchema),
});
export type Catalog = z.infer<typeof catalogSchema>;
