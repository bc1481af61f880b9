// text_config of an OPT checkpoint -> OptConfig. Source: transformers 5.18 configuration_opt.py.
import { z } from "zod";
import type { OptConfig, TokenIds } from "./config.ts";
import { layers, listOf, only, size, tokenId, tokenIds, vocabSize } from "./config-fields.ts";

export const optSchema = z.object({
  model_type: z.literal("opt"),
  vocab_size: vocabSize.default(50272),
  hidden_size: size.default(768),
  num_hidden_layers: layers.default(12),
  ffn_dim: size.default(3072),
  max_position_embeddings: size.default(2048),
  num_attention_heads: size.default(12),
  word_embed_proj_dim: size.nullish(),
  do_layer_norm_before: only(true),
  _remove_final_layer_norm: only(false),
  activation_function: only("relu"),
  enable_bias: only(true),
  layer_norm_elementwise_affine: only(true),
  bos_token_id: tokenId.default(2),
  pad_token_id: tokenId.default(1),
  eos_token_id: tokenIds.default(2),
});
export type RawOpt = z.infer<typeof optSchema>;

/** What single fields cannot say. */
export function findOptFaults(text: RawOpt): string[] {
  const faults: string[] = [];
  if (text.hidden_size % text.num_attention_heads !== 0) {
    faults.push(
      `text_config.hidden_size ${text.hidden_size} is not a multiple of num_attention_heads ${text.num_attention_heads}`,
    );
  }
  const wordDim = text.word_embed_proj_dim ?? text.hidden_size;
  if (wordDim !== text.hidden_size) {
    faults.push(
      `text_config.word_embed_proj_dim ${wordDim} differs from hidden_size ${text.hidden_size} (project_in and project_out are not supported)`,
    );
  }
  return faults;
}

export const optConfig = (text: RawOpt): OptConfig => ({
  hidden: text.hidden_size,
  ffn: text.ffn_dim,
  layers: text.num_hidden_layers,
  heads: text.num_attention_heads,
  headDim: text.hidden_size / text.num_attention_heads,
  vocab: text.vocab_size,
  context: text.max_position_embeddings,
});

export const optTokens = (text: RawOpt): Omit<TokenIds, "image"> => ({
  bos: text.bos_token_id,
  pad: text.pad_token_id,
  eos: listOf(text.eos_token_id),
});
