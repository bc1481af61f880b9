// config.json -> the model half of Blip2Config: class defaults filled in, variants that the graphs do not
// build refused by the field's name, all faults in one message.
import { AppError } from "@blip2-edge/shared/problem";
import { z } from "zod";
import type {
  OptCheckpointConfig,
  QformerConfig,
  T5CheckpointConfig,
  VisionConfig,
} from "./config.ts";
import { epsilon, layers, only, required, size, tokenId } from "./config-fields.ts";
import { findOptFaults, optConfig, optSchema, optTokens, type RawOpt } from "./read-opt-config.ts";
import { findT5Faults, type RawT5, t5Config, t5Schema, t5Tokens } from "./read-t5-config.ts";

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

/** A text_config that is absent, or does not say which model it is, is OPT's. */
function withModelType(given: unknown): unknown {
  const text = given ?? {};
  if (typeof text !== "object" || Array.isArray(text)) return text;
  return { ...text, model_type: ("model_type" in text ? text.model_type : undefined) ?? "opt" };
}
const textSchema = z.preprocess(
  withModelType,
  z.discriminatedUnion("model_type", [optSchema, t5Schema], {
    error: ({ code, input }) =>
      code === "invalid_union"
        ? `is ${JSON.stringify((input as { model_type?: unknown }).model_type)}; only "opt" and "t5" are supported`
        : undefined,
  }),
);

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
  text_config: textSchema,
  num_query_tokens: z.int().min(1).max(1024).default(32),
  image_token_index: tokenId.nullish(),
  image_token_id: tokenId.nullish(),
});
type RawConfig = z.infer<typeof configSchema>;

/** `image` is undefined when config.json does not say it. */
type KnownTokens<T> = Omit<T, "image"> & { readonly image: number | undefined };
type TextOf<C extends OptCheckpointConfig | T5CheckpointConfig> = Pick<C, "family" | "text"> & {
  readonly tokens: KnownTokens<C["tokens"]>;
};
export type ModelConfig = {
  readonly vision: VisionConfig;
  readonly qformer: QformerConfig;
} & (TextOf<OptCheckpointConfig> | TextOf<T5CheckpointConfig>);

const contextOf = (text: RawOpt | RawT5) =>
  text.model_type === "opt"
    ? { field: "max_position_embeddings", positions: text.max_position_embeddings }
    : { field: "n_positions", positions: text.n_positions };

/** What single fields cannot say: sizes that must divide or agree. */
function findContradictions(raw: RawConfig): string[] {
  const { vision_config: vision, qformer_config: qformer, text_config: text } = raw;
  const faults: string[] = [];
  for (const [name, part] of Object.entries({ vision_config: vision, qformer_config: qformer })) {
    if (part.hidden_size % part.num_attention_heads !== 0) {
      faults.push(
        `${name}.hidden_size ${part.hidden_size} is not a multiple of num_attention_heads ${part.num_attention_heads}`,
      );
    }
  }
  faults.push(...(text.model_type === "opt" ? findOptFaults(text) : findT5Faults(text)));
  if (vision.patch_size > vision.image_size) {
    faults.push(
      `vision_config.patch_size ${vision.patch_size} is larger than image_size ${vision.image_size}`,
    );
  }
  const context = contextOf(text);
  if (raw.num_query_tokens >= context.positions) {
    faults.push(
      `num_query_tokens ${raw.num_query_tokens} leaves no room in text_config.${context.field} ${context.positions}`,
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
 * Source: transformers 5.18 configuration_blip_2.py.
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
  const towers = {
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
  };
  const image = parsed.data.image_token_index ?? parsed.data.image_token_id ?? undefined;
  return text.model_type === "opt"
    ? { ...towers, family: "opt", text: optConfig(text), tokens: { image, ...optTokens(text) } }
    : { ...towers, family: "t5", text: t5Config(text), tokens: { image, ...t5Tokens(text) } };
}
