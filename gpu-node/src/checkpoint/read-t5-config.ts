// text_config of a T5 checkpoint -> T5Config. Source: transformers 5.18 configuration_t5.py, where fields
// that the class does not know overwrite those it derives: dense_act_fn, is_gated_act and
// scale_decoder_outputs count as they stand in the file.
import { z } from "zod";
import type { T5Config, T5TokenIds } from "./config.ts";
import { epsilon, layers, listOf, size, tokenId, tokenIds, vocabSize } from "./config-fields.ts";

const activations = ["relu", "gelu", "gelu_new"] as const;
type Activation = (typeof activations)[number];
const isActivation = (name: string): name is Activation =>
  (activations as readonly string[]).includes(name);

export const t5Schema = z.object({
  model_type: z.literal("t5"),
  vocab_size: vocabSize.default(32128),
  d_model: size.default(512),
  d_kv: size.default(64),
  d_ff: size.default(2048),
  num_layers: layers.default(6),
  num_decoder_layers: layers.nullish(),
  num_heads: size.default(8),
  relative_attention_num_buckets: z.int().min(4).max(1024).default(32),
  relative_attention_max_distance: z.int().min(3).max(2048).default(128),
  layer_norm_epsilon: epsilon.default(1e-6),
  feed_forward_proj: z
    .string()
    .regex(/^(gated-)?[^-]+$/)
    .default("relu"),
  dense_act_fn: z.string().nullish(),
  is_gated_act: z.boolean().nullish(),
  tie_word_embeddings: z.boolean().nullish(),
  scale_decoder_outputs: z.boolean().nullish(),
  // The length T5 was trained with. Nothing in the model needs it, but a prompt's memory grows with its
  // square, so there must be a bound.
  n_positions: size.default(512),
  // BLIP-2 asks for a plain caption with the end token; its files say so in bos_token_id.
  bos_token_id: tokenId.nullish().transform((id) => id ?? 1),
  pad_token_id: tokenId.nullish().transform((id) => id ?? 0),
  eos_token_id: tokenIds.nullish().transform((ids) => ids ?? 1),
  decoder_start_token_id: tokenId.nullish(),
});
export type RawT5 = z.infer<typeof t5Schema>;

/** Published BLIP-2 files say "gated-gelu" and dense_act_fn "gelu": exact, not the tanh form. */
function activationName(text: RawT5): string {
  if (typeof text.dense_act_fn === "string") return text.dense_act_fn;
  if (text.feed_forward_proj === "gated-gelu") return "gelu_new";
  return text.feed_forward_proj.replace("gated-", "");
}

/** What single fields cannot say. */
export function findT5Faults(text: RawT5): string[] {
  const faults: string[] = [];
  const activation = activationName(text);
  if (!isActivation(activation)) {
    faults.push(
      `text_config's activation (dense_act_fn, feed_forward_proj) is ${JSON.stringify(activation)}; supported are ${activations.join(", ")}`,
    );
  }
  const { relative_attention_num_buckets: buckets, relative_attention_max_distance: distance } =
    text;
  if (distance <= Math.floor(buckets / 2)) {
    faults.push(
      `text_config.relative_attention_max_distance ${distance} is not above half of relative_attention_num_buckets ${buckets}`,
    );
  }
  const start = text.decoder_start_token_id ?? text.pad_token_id;
  if (start >= text.vocab_size) {
    faults.push(
      `text_config.decoder_start_token_id ${start} is outside of text_config.vocab_size ${text.vocab_size}`,
    );
  }
  return faults;
}

/** `text` has no faults. */
export function t5Config(text: RawT5): T5Config {
  const activation = activationName(text);
  if (!isActivation(activation)) throw new Error(`activation ${activation} was not checked`);
  return {
    hidden: text.d_model,
    ffn: text.d_ff,
    encoderLayers: text.num_layers,
    decoderLayers: text.num_decoder_layers ?? text.num_layers,
    heads: text.num_heads,
    headDim: text.d_kv,
    vocab: text.vocab_size,
    layerNormEps: text.layer_norm_epsilon,
    buckets: text.relative_attention_num_buckets,
    maxDistance: text.relative_attention_max_distance,
    activation,
    gated: text.is_gated_act ?? text.feed_forward_proj.startsWith("gated-"),
    scaleOutputs: text.scale_decoder_outputs ?? text.tie_word_embeddings !== false,
    context: text.n_positions,
  };
}

export const t5Tokens = (text: RawT5): Omit<T5TokenIds, "image"> => ({
  bos: text.bos_token_id,
  pad: text.pad_token_id,
  eos: listOf(text.eos_token_id),
  start: text.decoder_start_token_id ?? text.pad_token_id,
});
