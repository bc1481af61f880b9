// The hallway between the two wings: the build wing writes this file, the serve wing obeys it.
// Nothing measured stands in it; parity and evaluation reports lie beside it.
import { z } from "zod";

/** Raised whenever a graph's inputs, outputs or layout change: part of every model_revision. */
export const builderFormatVersion = 1;
export const manifestFile = "manifest.json";

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** One ONNX graph; weights beyond the model file are external data in `files`. */
const graphSchema = z.strictObject({
  file: z.string(),
});

/**
 * Graph interfaces of the OPT family (names and shapes are fixed by builderFormatVersion):
 *
 * - `vision`: pixel_values f32 [batch, 3, S, S] -> image_embeds f32 [batch, patches + 1, visionHidden]
 * - `qformer`: image_embeds -> query_output f32 [batch, queries, qformerHidden],
 *              projected f32 [batch, queries, hidden]
 * - `decoder`: input_ids i64 [batch, tokens], prefix_embeds f32 [batch, prefix, hidden] (prefix may be 0),
 *              attention_mask i64 [batch, past + prefix + tokens], position_ids i64 [batch, prefix + tokens],
 *              past_key_values.{i}.key / .value f32 [batch, heads, past, headDim]
 *              -> logits f32 [batch, vocab] of the last position, present.{i}.key / .value
 */
export const manifestSchema = z.strictObject({
  format: z.literal(builderFormatVersion),
  name: z.string(),
  model_revision: z.string().regex(/^[0-9a-f]{16}$/),
  family: z.literal("opt"),
  source: z.strictObject({
    /** Over every tensor's name, type, shape and bytes, config and tokenizer; independent of sharding. */
    digest: sha256,
    /** Digest of each part's tensors, so that a shared ViT can be proven. */
    parts: z.record(z.string(), sha256),
  }),
  precision: z.strictObject({
    name: z.enum(["fp32"]),
    parts: z.record(z.string(), z.enum(["fp32"])),
  }),
  graphs: z.strictObject({
    vision: graphSchema,
    qformer: graphSchema,
    decoder: graphSchema,
  }),
  image: z.strictObject({
    /** Side of the square input in pixels. */
    size: z.int(),
    rescale_factor: z.number(),
    mean: z.tuple([z.number(), z.number(), z.number()]),
    std: z.tuple([z.number(), z.number(), z.number()]),
  }),
  vision: z.strictObject({ tokens: z.int(), hidden: z.int() }),
  qformer: z.strictObject({ queries: z.int(), hidden: z.int() }),
  decoder: z.strictObject({
    layers: z.int(),
    heads: z.int(),
    head_dim: z.int(),
    hidden: z.int(),
    vocab: z.int(),
    /** Positions in all, image tokens included. */
    context: z.int(),
  }),
  tokens: z.strictObject({
    /** The placeholder the prompt ids begin with, `qformer.queries` times; repetition rules see it. */
    image: z.int(),
    bos: z.int(),
    pad: z.int(),
    /** Generation stops at any of these. */
    eos: z.array(z.int()).min(1),
  }),
  tokenizer: z.strictObject({ tokenizer: z.string(), config: z.string() }),
  /** Where `{}` stands for the question. */
  question_template: z.string(),
  /** Every file of the artifact but this one. */
  files: z.record(z.string(), z.strictObject({ sha256, bytes: z.int() })),
});
export type Manifest = z.infer<typeof manifestSchema>;
