// The published checkpoints' shapes as their config.json gives them (what they leave out is the class default), and
// the memory that is usually quoted for them under PyTorch. Plain data.

export interface PublishedShape {
  readonly config: Readonly<Record<string, unknown>>;
  /** The head is the token embedding. */
  readonly tiedHead: boolean;
  /** GB at fp16, int8 and int4. */
  readonly pytorchGb: Readonly<Record<"fp16" | "int8" | "int4", number>>;
}

const blip2 = (text: object, imageToken: number): PublishedShape["config"] => ({
  architectures: ["Blip2ForConditionalGeneration"],
  model_type: "blip-2",
  num_query_tokens: 32,
  image_token_index: imageToken,
  vision_config: {},
  qformer_config: {},
  text_config: text,
});

const opt = (hidden: number): PublishedShape["config"] =>
  blip2(
    {
      model_type: "opt",
      vocab_size: 50304,
      hidden_size: hidden,
      word_embed_proj_dim: hidden,
      ffn_dim: 4 * hidden,
      num_hidden_layers: 32,
      num_attention_heads: 32,
      max_position_embeddings: 2048,
      bos_token_id: 2,
      pad_token_id: 1,
      eos_token_id: 50118,
    },
    50265,
  );

const flanT5 = (hidden: number, ffn: number, heads: number): PublishedShape["config"] =>
  blip2(
    {
      model_type: "t5",
      vocab_size: 32128,
      d_model: hidden,
      d_kv: 64,
      d_ff: ffn,
      num_layers: 24,
      num_decoder_layers: 24,
      num_heads: heads,
      feed_forward_proj: "gated-gelu",
      dense_act_fn: "gelu",
      is_gated_act: true,
      tie_word_embeddings: false,
      bos_token_id: 1,
      pad_token_id: 0,
      eos_token_id: 1,
      decoder_start_token_id: 0,
    },
    32100,
  );

export const publishedShapes = {
  "blip2-opt-2.7b": {
    config: opt(2560),
    tiedHead: true,
    pytorchGb: { fp16: 8, int8: 5, int4: 3 },
  },
  "blip2-opt-6.7b": {
    config: opt(4096),
    tiedHead: true,
    pytorchGb: { fp16: 16, int8: 9, int4: 5 },
  },
  "blip2-flan-t5-xl": {
    config: flanT5(2048, 5120, 32),
    tiedHead: false,
    pytorchGb: { fp16: 10, int8: 6, int4: 4 },
  },
  "blip2-flan-t5-xxl": {
    config: flanT5(4096, 10240, 64),
    tiedHead: false,
    pytorchGb: { fp16: 26, int8: 14, int4: 8 },
  },
} as const satisfies Record<string, PublishedShape>;
export type ShapeName = keyof typeof publishedShapes;
export const isShapeName = (name: string): name is ShapeName =>
  Object.hasOwn(publishedShapes, name);
