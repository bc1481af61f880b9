// Checkpoints for tests, written without Python: safetensors bytes from a list of tensors, and a whole
// folder of the smallest BLIP-2 that the builder takes.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Blip2Config } from "../../gpu-node/src/checkpoint/config.ts";
import { parseModelConfig } from "../../gpu-node/src/checkpoint/read-config.ts";
import { blip2Graphs } from "../../gpu-node/src/models/graphs.ts";
import type { StoredWeight, Weights, WeightUse } from "../../gpu-node/src/models/weights.ts";
import type { ExternalTensor } from "../../gpu-node/src/onnx/graph.ts";

export interface StoredTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}
export type StoredTensors = ReadonlyMap<string, StoredTensor>;

/** A safetensors file with these tensors in their order. */
function encodeShard(tensors: StoredTensors): Uint8Array {
  let end = 0;
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  for (const [name, { dtype, shape, data }] of tensors) {
    header[name] = { dtype, shape, data_offsets: [end, end + data.length] };
    end += data.length;
  }
  return withHeader(
    JSON.stringify(header),
    Buffer.concat([...tensors.values()].map((t) => t.data)),
  );
}

/** Length, header text and data as they stand in a file; nothing is checked. */
export function withHeader(header: string, data: Uint8Array = new Uint8Array()): Uint8Array {
  const text = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return new Uint8Array(Buffer.concat([length, text, data]));
}

export const float32Tensor = (shape: readonly number[], values: Float32Array): StoredTensor => ({
  dtype: "F32",
  shape,
  data: new Uint8Array(values.buffer),
});

/** Sizes that all differ, so that a mix-up of two axes shows. */
export const tinyConfig = {
  architectures: ["Blip2ForConditionalGeneration"],
  model_type: "blip-2",
  num_query_tokens: 3,
  image_token_index: 11,
  vision_config: {
    hidden_size: 10,
    intermediate_size: 14,
    num_hidden_layers: 1,
    num_attention_heads: 2,
    image_size: 8,
    patch_size: 4,
  },
  qformer_config: {
    hidden_size: 6,
    intermediate_size: 9,
    num_hidden_layers: 2,
    num_attention_heads: 3,
  },
  text_config: {
    model_type: "opt",
    vocab_size: 13,
    hidden_size: 12,
    ffn_dim: 20,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    max_position_embeddings: 24,
    word_embed_proj_dim: 12,
    eos_token_id: 5,
  },
};

/** The same towers before a T5 whose heads together are not as wide as the model. */
export const tinyT5Config = {
  ...tinyConfig,
  text_config: {
    model_type: "t5",
    vocab_size: 13,
    d_model: 12,
    d_kv: 5,
    d_ff: 20,
    num_layers: 2,
    num_heads: 3,
    relative_attention_num_buckets: 8,
    relative_attention_max_distance: 9,
    feed_forward_proj: "gated-gelu",
    n_positions: 24,
  },
};

/** The same towers with a text side of the Q-Former's own in place of a language model. */
export const tinyRetrievalConfig = {
  ...tinyConfig,
  architectures: ["Blip2ForImageTextRetrieval"],
  image_token_index: null,
  image_text_hidden_size: 7,
  qformer_config: {
    ...tinyConfig.qformer_config,
    vocab_size: 13,
    max_position_embeddings: 8,
    use_qformer_text_input: true,
  },
  text_config: { model_type: "opt" },
};

/** Knows ten letters and drops the others. */
const tokenizerJson = {
  added_tokens: [{ id: 11, content: "<image>", special: true }],
  normalizer: null,
  pre_tokenizer: null,
  post_processor: null,
  decoder: null,
  model: {
    type: "BPE",
    vocab: { e: 0, i: 1, a: 2, s: 3, t: 4, "</s>": 5, w: 6, n: 7, u: 8, r: 9, q: 10 },
    merges: [],
  },
};

/** Every weight in float32, as no recipe changes it; `asked` hears of each. */
export function floatWeights(
  asked: (name: string, dims: readonly number[]) => void = () => undefined,
): Weights {
  function weights(name: string, dims: readonly number[]): ExternalTensor;
  function weights(name: string, dims: readonly number[], use: WeightUse): StoredWeight;
  function weights(
    name: string,
    dims: readonly number[],
    use?: WeightUse,
  ): ExternalTensor | StoredWeight {
    asked(name, dims);
    const plain = { name, type: "float32", dims } as const;
    if (use === undefined) return plain;
    if (use !== "matrix") return { kind: "float", tensor: plain };
    const tensor = { ...plain, name: `${name}.transposed`, dims: dims.toReversed() };
    return { kind: "float", tensor };
  }
  return weights;
}

/** Names and shapes of every tensor of `config`. */
export function tensorShapes(config: unknown, tiedHead = true): Map<string, readonly number[]> {
  const model = parseModelConfig(config);
  const { vision } = model;
  const shapes = new Map<string, readonly number[]>();
  const image = {
    size: vision.imageSize,
    rescaleFactor: 1 / 255,
    mean: [0, 0, 0] as const,
    std: [1, 1, 1] as const,
  };
  const imageToken = { image: 11 };
  const record = floatWeights((name, dims) => shapes.set(name, dims));
  const full: Blip2Config =
    model.family === "retrieval"
      ? { ...model, image }
      : model.family === "opt"
        ? { ...model, tokens: { ...model.tokens, ...imageToken }, image }
        : { ...model, tokens: { ...model.tokens, ...imageToken }, image };
  blip2Graphs(full, () => record, { tiedHead, cache: "float32" });
  return shapes;
}

/** Small numbers that differ from place to place; the same at every call. */
export function tinyTensors(config: unknown = tinyConfig): Map<string, StoredTensor> {
  let state = 1;
  const draw = (): number => {
    state = (state * 48271) % 0x7fffffff;
    return state / 0x7fffffff - 0.5;
  };
  return new Map(
    [...tensorShapes(config)].map(([name, shape]) => {
      const count = shape.reduce((product, size) => product * size, 1);
      return [name, float32Tensor(shape, Float32Array.from({ length: count }, draw))];
    }),
  );
}

export interface TinyCheckpoint {
  readonly config?: unknown;
  readonly tensors?: StoredTensors;
  /** File names of shards; one file without an index by default. */
  readonly shards?: readonly string[];
  /** tokenizer.json; by default one that can be copied but not run. */
  readonly tokenizer?: unknown;
}

/** Writes a checkpoint in Hugging Face's layout to `folder`, which is made. */
export async function writeTinyCheckpoint(
  folder: string,
  {
    config = tinyConfig,
    tensors = tinyTensors(config),
    shards,
    tokenizer = tokenizerJson,
  }: TinyCheckpoint = {},
): Promise<void> {
  await mkdir(folder, { recursive: true });
  const put = (name: string, value: unknown) =>
    writeFile(join(folder, name), JSON.stringify(value));
  await put("config.json", config);
  const { image_size: side } = (config as typeof tinyConfig).vision_config;
  await put("preprocessor_config.json", { size: { height: side, width: side } });
  await put("tokenizer.json", tokenizer);
  await put("tokenizer_config.json", { bos_token: "</s>" });
  if (shards === undefined) {
    await writeFile(join(folder, "model.safetensors"), encodeShard(tensors));
    return;
  }
  const entries = [...tensors];
  const perShard = Math.ceil(entries.length / shards.length);
  const map: Record<string, string> = {};
  for (const [at, shard] of shards.entries()) {
    const part = new Map(entries.slice(at * perShard, (at + 1) * perShard));
    for (const name of part.keys()) map[name] = shard;
    await writeFile(join(folder, shard), encodeShard(part));
  }
  await put("model.safetensors.index.json", { metadata: {}, weight_map: map });
}
