// config.json -> the model half of Blip2Config: class defaults filled in, variants that the graphs do not
// build refused by the field's name, all faults in one message.
import { AppError } from "@blip2-edge/shared/problem";
import { z } from "zod";
import type {
  OptCheckpointConfig,
  QformerConfig,
  RetrievalCheckpointConfig,
  T5CheckpointConfig,
  VisionConfig,
} from "./config.ts";
import { epsilon, layers, only, required, size, tokenId } from "./config-fields.ts";
import { findOptFaults, optConfig, optSchema, optTokens, type RawOpt } from "./read-opt-config.ts";
import {
  findRetrievalFaults,
  type RawRetrieval,
  retrievalText,
  textSideShape,
} from "./read-retrieval-config.ts";
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

const generationArchitecture = "Blip2ForConditionalGeneration";
const retrievalArchitecture = "Blip2ForImageTextRetrieval";
const supported = [generationArchitecture, retrievalArchitecture];

/** Without a name it is the first. */
const namesRetrieval = (json: unknown): boolean =>
  typeof json === "object" &&
  json !== null &&
  "architectures" in json &&
  Array.isArray(json.architectures) &&
  !json.architectures.includes(generationArchitecture) &&
  json.architectures.includes(retrievalArchitecture);

const section = <S extends z.ZodType>(schema: S) =>
  schema.nullish().transform((given) => given ?? schema.parse({}));

const commonShape = {
  model_type: required("blip-2"),
  architectures: z
    .array(z.string())
    .nullish()
    .refine(
      (given) => (given ?? []).length === 0 || given?.some((one) => supported.includes(one)),
      {
        error: ({ input }) =>
          `is ${JSON.stringify(input)}; only ${supported.map((one) => JSON.stringify(one)).join(" and ")} are supported`,
      },
    ),
  vision_config: section(visionSchema),
  num_query_tokens: z.int().min(1).max(1024).default(32),
  image_token_index: tokenId.nullish(),
  image_token_id: tokenId.nullish(),
};
const generationSchema = z.object({
  ...commonShape,
  qformer_config: section(qformerSchema.extend({ use_qformer_text_input: only(false) })),
  text_config: textSchema,
});
const retrievalSchema = z.object({
  ...commonShape,
  qformer_config: section(qformerSchema.extend(textSideShape)),
  image_text_hidden_size: size.default(256),
});
type RawGeneration = z.infer<typeof generationSchema>;
type RawTowers = Pick<RawGeneration, keyof typeof commonShape> & {
  readonly qformer_config: z.infer<typeof qformerSchema>;
};

/** `image` is undefined when config.json does not say it. */
type KnownTokens<T> = Omit<T, "image"> & { readonly image: number | undefined };
type TextOf<C extends OptCheckpointConfig | T5CheckpointConfig> = Pick<C, "family" | "text"> & {
  readonly tokens: KnownTokens<C["tokens"]>;
};
interface Towers {
  readonly vision: VisionConfig;
  readonly qformer: QformerConfig;
}
export type ModelConfig = Towers &
  (
    | TextOf<OptCheckpointConfig>
    | TextOf<T5CheckpointConfig>
    | Pick<RetrievalCheckpointConfig, "family" | "text" | "tokens">
  );

const contextOf = (text: RawOpt | RawT5) =>
  text.model_type === "opt"
    ? { field: "max_position_embeddings", positions: text.max_position_embeddings }
    : { field: "n_positions", positions: text.n_positions };

/** What single fields of the two towers cannot say: sizes that must divide or agree. */
function findTowerFaults(raw: RawTowers): string[] {
  const { vision_config: vision, qformer_config: qformer } = raw;
  const faults: string[] = [];
  for (const [name, part] of Object.entries({ vision_config: vision, qformer_config: qformer })) {
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
  const { image_token_index: index, image_token_id: id } = raw;
  if (typeof index === "number" && typeof id === "number" && index !== id) {
    faults.push(`image_token_index ${index} and image_token_id ${id} differ`);
  }
  return faults;
}

/** The same of the language model and of what it shares with the towers. */
function findGenerationFaults(raw: RawGeneration): string[] {
  const { text_config: text } = raw;
  const faults = text.model_type === "opt" ? findOptFaults(text) : findT5Faults(text);
  const context = contextOf(text);
  if (raw.num_query_tokens >= context.positions) {
    faults.push(
      `num_query_tokens ${raw.num_query_tokens} leaves no room in text_config.${context.field} ${context.positions}`,
    );
  }
  for (const [name, token] of Object.entries({
    "text_config.bos_token_id": text.bos_token_id,
    "text_config.pad_token_id": text.pad_token_id,
    image_token_index: imageTokenOf(raw) ?? 0,
  })) {
    if (token >= text.vocab_size) {
      faults.push(`${name} ${token} is outside of text_config.vocab_size ${text.vocab_size}`);
    }
  }
  return faults;
}

const imageTokenOf = (raw: RawTowers): number | undefined =>
  raw.image_token_index ?? raw.image_token_id ?? undefined;

const refuse = (faults: readonly string[]): AppError =>
  new AppError("checkpoint_invalid", `config.json: ${faults.join("; ")}.`);

/** Errors: `checkpoint_invalid` with every fault of a field, else with every contradiction. */
function parseWith<Raw extends RawTowers>(
  schema: z.ZodType<Raw>,
  json: unknown,
  findFaults: (raw: Raw) => string[],
): Raw {
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    throw refuse(parsed.error.issues.map(({ path, message }) => `${path.join(".")} ${message}`));
  }
  const faults = [...findTowerFaults(parsed.data), ...findFaults(parsed.data)];
  if (faults.length > 0) throw refuse(faults);
  return parsed.data;
}

function towersOf(raw: RawTowers): Towers {
  const { vision_config: vision, qformer_config: qformer } = raw;
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
      queries: raw.num_query_tokens,
      hidden: qformer.hidden_size,
      intermediate: qformer.intermediate_size,
      layers: qformer.num_hidden_layers,
      heads: qformer.num_attention_heads,
      headDim: qformer.hidden_size / qformer.num_attention_heads,
      layerNormEps: qformer.layer_norm_eps,
      crossAttentionFrequency: qformer.cross_attention_frequency,
    },
  };
}

/**
 * Errors: `checkpoint_invalid` with every fault.
 * Source: transformers 5.18 configuration_blip_2.py.
 */
export function parseModelConfig(json: unknown): ModelConfig {
  if (namesRetrieval(json)) {
    const raw: RawRetrieval & RawTowers = parseWith(retrievalSchema, json, findRetrievalFaults);
    const tokens = { image: imageTokenOf(raw) ?? null, pad: raw.qformer_config.pad_token_id };
    return { ...towersOf(raw), family: "retrieval", text: retrievalText(raw), tokens };
  }
  const raw = parseWith(generationSchema, json, findGenerationFaults);
  const { text_config: text } = raw;
  const image = imageTokenOf(raw);
  return text.model_type === "opt"
    ? {
        ...towersOf(raw),
        family: "opt",
        text: optConfig(text),
        tokens: { image, ...optTokens(text) },
      }
    : {
        ...towersOf(raw),
        family: "t5",
        text: t5Config(text),
        tokens: { image, ...t5Tokens(text) },
      };
}
