// The hallway between the two wings: the build wing writes this file, the serve wing obeys it.
// Nothing measured stands in it; parity and evaluation reports lie beside it.
import { z } from "zod";
import { precisionSchema } from "./precision.ts";

/** Raised whenever a graph's inputs, outputs or layout change: part of every model_revision. */
export const builderFormatVersion = 3;
export const manifestFile = "manifest.json";

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** One ONNX graph; weights beyond the model file are external data in `files`. */
const graphSchema = z.strictObject({
  file: z.string(),
});

/** What the manifest of every family says. */
const commonShape = {
  format: z.literal(builderFormatVersion),
  name: z.string(),
  model_revision: z.string().regex(/^[0-9a-f]{16}$/),
  source: z.strictObject({
    /** Over every tensor's name, type, shape and bytes, config and tokenizer; independent of sharding. */
    digest: sha256,
    /** Digest of each part's tensors, so that a shared ViT can be proven. */
    parts: z.record(z.string(), sha256),
  }),
  precision: precisionSchema,
  image: z.strictObject({
    /** Side of the square input in pixels. */
    size: z.int(),
    rescale_factor: z.number(),
    mean: z.tuple([z.number(), z.number(), z.number()]),
    std: z.tuple([z.number(), z.number(), z.number()]),
  }),
  vision: z.strictObject({ tokens: z.int(), hidden: z.int() }),
  qformer: z.strictObject({ queries: z.int(), hidden: z.int() }),
  tokenizer: z.strictObject({ tokenizer: z.string(), config: z.string() }),
  /** Every file of the artifact but this one. */
  files: z.record(z.string(), z.strictObject({ sha256, bytes: z.int() })),
};

/** What the manifest of a family with a language model says besides. */
const generationShape = {
  ...commonShape,
  /** Where `{}` stands for the question. */
  question_template: z.string(),
};

const decoderShape = {
  layers: z.int(),
  heads: z.int(),
  head_dim: z.int(),
  hidden: z.int(),
  vocab: z.int(),
};

const tokenShape = {
  /** What the image's places in the prompt are called; a text may not contain it. */
  image: z.int(),
  bos: z.int(),
  pad: z.int(),
  /** Generation stops at any of these. */
  eos: z.array(z.int()).min(1),
};

/**
 * Graph interfaces of the OPT family (names and shapes are fixed by builderFormatVersion):
 *
 * - `vision`: pixel_values f32 [batch, 3, S, S] -> image_embeds f32 [batch, patches + 1, visionHidden]
 * - `qformer`: image_embeds -> query_output f32 [batch, queries, qformerHidden],
 *              projected f32 [batch, queries, hidden]
 * - `decoder`: a run of at most `steps` tokens (models/decode-loop.ts).
 *              input_ids i64 [batch, tokens], prefix_embeds f32 [batch, prefix, hidden] (prefix may be 0),
 *              position_ids i64 [batch, prefix + tokens], last i64 [batch] (whose scores are wanted; pads behind it),
 *              steps i64 [] (1 where anything is padded), held_back i64 [batch],
 *              past_lengths i64 [batch], past_key_values.{i}.key / .value f32 or f16 (precision.ts,
 *              cacheTypeOf) [batch, heads, past, headDim]
 *              -> ids i64 [made, batch], log_probs f32 [made, batch], logits f32 [batch, vocab] of the last step,
 *              fresh.{i}.key / .value [batch, heads, prefix + tokens + made - 1, headDim]
 */
const optManifestSchema = z.strictObject({
  ...generationShape,
  family: z.literal("opt"),
  graphs: z.strictObject({ vision: graphSchema, qformer: graphSchema, decoder: graphSchema }),
  decoder: z.strictObject({
    ...decoderShape,
    /** Positions in all, image tokens included. */
    context: z.int(),
  }),
  tokens: z.strictObject(tokenShape),
});

/**
 * Graph interfaces of the T5 family; `vision` and `qformer` are those of OPT:
 *
 * - `encoder`: input_ids i64 [batch, tokens], prefix_embeds f32 [batch, prefix, hidden],
 *              attention_mask i64 [batch, prefix + tokens]
 *              -> encoder_hidden_states f32 [batch, prefix + tokens, hidden],
 *              past_key_values.{i}.encoder.key / .value [batch, heads, prefix + tokens, headDim]
 * - `decoder`: as OPT's, of input_ids i64 [batch, 1] without prefix, position_ids and last; besides
 *              encoder_attention_mask i64 [batch, source],
 *              past_key_values.{i}.decoder.key / .value [batch, heads, past, headDim],
 *              past_key_values.{i}.encoder.key / .value [batch, heads, source, headDim]
 *              -> fresh.{i}.decoder.key / .value [batch, heads, made, headDim]
 */
const t5ManifestSchema = z.strictObject({
  ...generationShape,
  family: z.literal("t5"),
  graphs: z.strictObject({
    vision: graphSchema,
    qformer: graphSchema,
    encoder: graphSchema,
    decoder: graphSchema,
  }),
  decoder: z.strictObject({
    ...decoderShape,
    /** Positions of the encoder, image tokens included, and again of the decoder. */
    context: z.int(),
  }),
  tokens: z.strictObject({
    ...tokenShape,
    /** What the decoder is fed first. */
    start: z.int(),
  }),
});

/**
 * Graph interfaces of the retrieval family; `vision` is that of OPT:
 *
 * - `qformer`: image_embeds f32 [batch, patches + 1, visionHidden]
 *              -> query_output f32 [batch, queries, qformerHidden],
 *              projected f32 [batch, queries, dim], each vector of length 1
 * - `text`:    input_ids i64 [batch, tokens], attention_mask i64 [batch, tokens] (0 for pads, on the right)
 *              -> text_output f32 [batch, tokens, qformerHidden], projected f32 [batch, dim] of length 1
 * - `itm`:     image_embeds f32 [1, patches + 1, visionHidden]: one image for all texts, input_ids,
 *              attention_mask -> logits f32 [batch, 2]: does not match, matches
 *
 * The last three read one data file, `qformer.data`: most of their weights are the same.
 */
const retrievalManifestSchema = z.strictObject({
  ...commonShape,
  family: z.literal("retrieval"),
  graphs: z.strictObject({
    vision: graphSchema,
    qformer: graphSchema,
    text: graphSchema,
    itm: graphSchema,
  }),
  text: z.strictObject({
    vocab: z.int(),
    /** Positions of a text; the queries have none. */
    context: z.int(),
    /** Of the space in which pictures and texts are compared. */
    dim: z.int(),
  }),
  tokens: z.strictObject({
    /** The placeholder that a text may not contain; null where the model has none. */
    image: z.int().nullable(),
    pad: z.int(),
  }),
});

export const manifestSchema = z.discriminatedUnion("family", [
  optManifestSchema,
  t5ManifestSchema,
  retrievalManifestSchema,
]);
export type Manifest = z.infer<typeof manifestSchema>;
export type OptManifest = z.infer<typeof optManifestSchema>;
export type T5Manifest = z.infer<typeof t5ManifestSchema>;
export type GenerationManifest = OptManifest | T5Manifest;
export type RetrievalManifest = z.infer<typeof retrievalManifestSchema>;

type OfEveryFamily = "family" | "graphs" | "image" | "vision" | "qformer" | "tokens";
type OfGeneration = OfEveryFamily | "decoder" | "question_template";
/** The part of a manifest that the model's configuration decides. */
export type ModelDescription =
  | Pick<OptManifest, OfGeneration>
  | Pick<T5Manifest, OfGeneration>
  | Pick<RetrievalManifest, OfEveryFamily | "text">;
