// The shapes of the published checkpoints, as their config.json states them; what is left out takes the
// class defaults, as there.

interface Shape {
  readonly config: Readonly<Record<string, unknown>>;
  /** The language model's head is the token embedding. */
  readonly tiedHead: boolean;
  readonly vocab: number;
  readonly imageToken: number;
}

const opt = (hidden: number, heads: number, layers = 32): Shape => ({
  config: {
    architectures: ["Blip2ForConditionalGeneration"],
    model_type: "blip-2",
    num_query_tokens: 32,
    image_token_index: 50265,
    vision_config: { model_type: "blip_2_vision_model" },
    qformer_config: { model_type: "blip_2_qformer" },
    text_config: {
      model_type: "opt",
      vocab_size: 50304,
      hidden_size: hidden,
      word_embed_proj_dim: hidden,
      ffn_dim: 4 * hidden,
      num_hidden_layers: layers,
      num_attention_heads: heads,
      eos_token_id: 50118,
    },
  },
  tiedHead: true,
  vocab: 50304,
  imageToken: 50265,
});

const flanT5 = (hidden: number, ffn: number, heads: number): Shape => ({
  config: {
    architectures: ["Blip2ForConditionalGeneration"],
    model_type: "blip-2",
    num_query_tokens: 32,
    image_token_index: 32100,
    vision_config: { model_type: "blip_2_vision_model" },
    qformer_config: { model_type: "blip_2_qformer" },
    text_config: {
      model_type: "t5",
      vocab_size: 32128,
      d_model: hidden,
      d_kv: 64,
      d_ff: ffn,
      num_layers: 24,
      num_decoder_layers: 24,
      num_heads: heads,
      feed_forward_proj: "gated-gelu",
      tie_word_embeddings: false,
    },
  },
  tiedHead: false,
  vocab: 32128,
  imageToken: 32100,
});

export const publishedShapes = {
  "opt-2.7b": opt(2560, 32),
  "opt-6.7b": opt(4096, 32),
  "flan-t5-xl": flanT5(2048, 5120, 32),
  "flan-t5-xxl": flanT5(4096, 10240, 64),
} as const satisfies Readonly<Record<string, Shape>>;

const small = {
  vision_config: {
    hidden_size: 96,
    intermediate_size: 200,
    num_hidden_layers: 2,
    num_attention_heads: 4,
  },
  qformer_config: {
    hidden_size: 64,
    intermediate_size: 96,
    num_hidden_layers: 2,
    num_attention_heads: 4,
  },
};

/** Of no published model: to try the script in seconds. */
const smallShapes = {
  "small-opt": { ...opt(96, 4, 2), config: { ...opt(96, 4, 2).config, ...small } },
  "small-t5": { ...flanT5(64, 160, 2), config: { ...flanT5(64, 160, 2).config, ...small } },
} as const satisfies Readonly<Record<string, Shape>>;

export type ShapeName = keyof typeof publishedShapes | keyof typeof smallShapes;
export const shapes: Readonly<Record<ShapeName, Shape>> = { ...publishedShapes, ...smallShapes };
