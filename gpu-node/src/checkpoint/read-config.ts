// config.json -> the model half of Blip2Config: class defaults filled in, variants that the graphs do not
// build refused by the field's name, all faults in one message.
import { AppError } from "@blip2-edge/shared/problem";
import { z } from "zod";
import type { OptConfig, QformerConfig, TokenIds, VisionConfig } from "./config.ts";

const maxSize = 1 << 20;
const size = z.int().min(1).max(maxSize);
const layers = z.int().min(1).max(512);
const tokenId = z
  .int()
  .min(0)
  .max(maxSize * 4);
const epsilon = z.number().positive().max(1);
/** One value that the graphs are built for, the class default too; another is named in the message. */
const required = <T extends string | number | boolean>(value: T) =>
  z.literal(value, {
    error: ({ input }) => `is ${JSON.stringify(input)}; only ${JSON.stringify(value)} is supported`,
  });
const only = <T extends string | number | boolean>(value: T) => required(value).nullish();

const visionSchema = z.object({
  hidden_size: size.default(1408),
  intermediate_size: size.default(6144),
  num_hidden_layers: layers.default(39),
  num_attention_heads: size.default(16),
  num_channels: only(3),
  image_size: z.int().min(1).max(4096).default(224),
  patch_size: z.int().min(1).max(4096).default(14),
  hidden_act: only("gelu"),
  layer_norm_eps: epsilon.default(1e-6),
  qkv_bias: z.boolean().default(true),
});

const qformerSchema = z.object({
  hidden_size: size.default(768),
  num_hidden_layers: layers.default(12),
  num_attention_heads: size.default(12),
  intermediate_size: size.default(3072),
  hidden_act: only("gelu"),
  layer_norm_eps: epsilon.default(1e-12),
  cross_attention_frequency: z.int().min(1).default(2),
  position_embedding_type: only("absolute"),
  use_qformer_text_input: only(false),
});

const textSchema = z.object({
  model_type: only("opt"),
  vocab_size: z
    .int()
    .min(1)
    .max(maxSize * 4)
    .default(50272),
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
  eos_token_id: z.union([tokenId, z.array(tokenId).min(1).max(16)]).default(2),
});

const supportedArchitecture = "Blip2ForConditionalGeneration";

const configSchema = z.object({
  model_type: required("blip-2"),
  architectures: z
    .array(z.string())
    .nullish()
    .refine((given) => (given ?? []).length === 0 || given?.includes(supportedArchitecture), {
      error: ({ input }) =>
        `is ${JSON.stringify(input)}; only ${JSON.stringify(supportedArchitecture)} is supported`,
    }),
  vision_config: visionSchema.nullish().transform((given) => given ?? visionSchema.parse({})),
  qformer_config: qformerSchema.nullish().transform((given) => given ?? qformerSchema.parse({})),
  text_config: textSchema.nullish().transform((given) => given ?? textSchema.parse({})),
  num_query_tokens: z.int().min(1).max(1024).default(32),
  image_token_index: tokenId.nullish(),
  image_token_id: tokenId.nullish(),
});
type RawConfig = z.infer<typeof configSchema>;

export interface ModelConfig {
  readonly vision: VisionConfig;
  readonly qformer: QformerConfig;
  readonly text: OptConfig;
  /** `image` is undefined when config.json does not say it. */
  readonly tokens: Omit<TokenIds, "image"> & { readonly image: number | undefined };
}

/** What single fields cannot say: sizes that must divide or agree. */
function findContradictions(raw: RawConfig): string[] {
  const { vision_config: vision, qformer_config: qformer, text_config: text } = raw;
  const faults: string[] = [];
  for (const [name, part] of Object.entries({
    vision_config: vision,
    qformer_config: qformer,
    text_config: text,
  })) {
    if (part.hidden_size % part.num_attention_heads !== 0) {
      faults.push(
        `${name}.hidden_size ${part.hidden_size} is not a multiple of num_attention_heads ${part.num_attention_heads}`,
      );
    }
  }
  if (vision.patch_size > vision.image_size) {
    faults.push(
      `vision_config.patch_size ${vision.patch_size} is larger than image_size ${vision.image_size}`,
    );
  }
  const wordDim = text.word_embed_proj_dim ?? text.hidden_size;
  if (wordDim !== text.hidden_size) {
    faults.push(
      `text_config.word_embed_proj_dim ${wordDim} differs from hidden_size ${text.hidden_size} (project_in and project_out are not supported)`,
    );
  }
  if (raw.num_query_tokens >= text.max_position_embeddings) {
    faults.push(
      `num_query_tokens ${raw.num_query_tokens} leaves no room in text_config.max_position_embeddings ${text.max_position_embeddings}`,
    );
  }
  const { image_token_index: index, image_token_id: id } = raw;
  if (typeof index === "number" && typeof id === "number" && index !== id) {
    faults.push(`image_token_index ${index} and image_token_id ${id} differ`);
  }
  for (const [name, token] of Object.entries({
    "text_config.bos_token_id": text.bos_token_id,
    "text_config.pad_token_id": text.pad_token_id,
    image_token_index: index ?? id ?? 0,
  })) {
    if (token >= text.vocab_size) {
      faults.push(`${name} ${token} is outside of text_config.vocab_size ${text.vocab_size}`);
    }
  }
  return faults;
}

/**
 * Errors: `checkpoint_invalid` with every fault.
 * Source: transformers 5.18 configuration_blip_2.py, configuration_opt.py.
 */
export function parseModelConfig(json: unknown): ModelConfig {
  const parsed = configSchema.safeParse(json);
  const faults = parsed.success
    ? findContradictions(parsed.data)
    : parsed.error.issues.map(({ path, message }) => `${path.join(".")} ${message}`);
  if (!parsed.success || faults.length > 0) {
    throw new AppError("checkpoint_invalid", `config.json: ${faults.join("; ")}.`);
  }
  const { vision_config: vision, qformer_config: qformer, text_config: text } = parsed.data;
  return {
    vision: {
      hidden: vision.hidden_size,
      intermediate: vision.intermediate_size,
      layers: vision.num_hidden_layers,
      heads: vision.num_attention_heads,
      headDim: vision.hidden_size / vision.num_attention_heads,
      imageSize: vision.image_size,
      patchSize: vision.patch_size,
      tokens: Math.floor(vision.image_size / vision.patch_size) ** 2 + 1,
      layerNormEps: vision.layer_norm_eps,
      qkvBias: vision.qkv_bias,
    },
    qformer: {
      queries: parsed.data.num_query_tokens,
      hidden: qformer.hidden_size,
      intermediate: qformer.intermediate_size,
      layers: qformer.num_hidden_layers,
      heads: qformer.num_attention_heads,
      headDim: qformer.hidden_size / qformer.num_attention_heads,
      layerNormEps: qformer.layer_norm_eps,
      crossAttentionFrequency: qformer.cross_attention_frequency,
    },
    text: {
      hidden: text.hidden_size,
      ffn: text.ffn_dim,
      layers: text.num_hidden_layers,
      heads: text.num_attention_heads,
      headDim: text.hidden_size / text.num_attention_heads,
      vocab: text.vocab_size,
      context: text.max_position_embeddings,
    },
    tokens: {
      image: parsed.data.image_token_index ?? parsed.data.image_token_id ?? undefined,
      bos: text.bos_token_id,
      pad: text.pad_token_id,
      eos: typeof text.eos_token_id === "number" ? [text.eos_token_id] : text.eos_token_id,
    },
  };
}
