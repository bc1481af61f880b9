// The one typed, frozen record of a checkpoint's shape. Everything later reads this and never config.json.
// What the published files leave out takes the class defaults of transformers 5.18
// (models/blip_2/configuration_blip_2.py, models/opt/configuration_opt.py, models/t5/configuration_t5.py).

export interface VisionConfig {
  readonly hidden: number;
  readonly intermediate: number;
  readonly layers: number;
  readonly heads: number;
  readonly headDim: number;
  /** Pixels. */
  readonly imageSize: number;
  readonly patchSize: number;
  /** Patches and the class token. */
  readonly tokens: number;
  readonly layerNormEps: number;
  /** Without it the qkv layer has no bias tensor. */
  readonly qkvBias: boolean;
}

export interface QformerConfig {
  readonly queries: number;
  readonly hidden: number;
  readonly intermediate: number;
  readonly layers: number;
  readonly heads: number;
  readonly headDim: number;
  readonly layerNormEps: number;
  /** Layers 0, n, 2n, ... look at the image. */
  readonly crossAttentionFrequency: number;
}

export interface OptConfig {
  readonly hidden: number;
  readonly ffn: number;
  readonly layers: number;
  readonly heads: number;
  readonly headDim: number;
  readonly vocab: number;
  /** Positions, image tokens included. */
  readonly context: number;
}

export interface T5Config {
  /** d_model: of the residual stream, not of the heads together. */
  readonly hidden: number;
  readonly ffn: number;
  readonly encoderLayers: number;
  readonly decoderLayers: number;
  readonly heads: number;
  /** d_kv; heads * headDim need not be `hidden`. */
  readonly headDim: number;
  readonly vocab: number;
  readonly layerNormEps: number;
  /** Of the relative positions. */
  readonly buckets: number;
  /** From this distance on every position is in the last bucket. */
  readonly maxDistance: number;
  readonly activation: "relu" | "gelu" | "gelu_new";
  /** Two layers wide, multiplied, in place of one. */
  readonly gated: boolean;
  /** The last hidden state is multiplied by hidden^-0.5 before the head. */
  readonly scaleOutputs: boolean;
  /** Positions of the encoder, image tokens included, and again of the decoder. */
  readonly context: number;
}

/** The Q-Former's own text side, in place of a language model. */
export interface RetrievalTextConfig {
  readonly vocab: number;
  /** Positions of a text; the queries have none. */
  readonly context: number;
  /** Of the space in which pictures and texts are compared. */
  readonly dim: number;
}

export interface TokenIds {
  readonly image: number;
  readonly bos: number;
  readonly pad: number;
  readonly eos: readonly number[];
}

export interface T5TokenIds extends TokenIds {
  /** What the decoder is fed first. */
  readonly start: number;
}

export interface RetrievalTokenIds {
  /** Null where the model has no placeholder: queries and text never stand in one list of ids. */
  readonly image: number | null;
  readonly pad: number;
}

export interface ImageConfig {
  readonly size: number;
  readonly rescaleFactor: number;
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

interface CheckpointParts {
  readonly vision: VisionConfig;
  readonly qformer: QformerConfig;
  readonly image: ImageConfig;
}
export interface OptCheckpointConfig extends CheckpointParts {
  readonly family: "opt";
  readonly text: OptConfig;
  readonly tokens: TokenIds;
}
export interface T5CheckpointConfig extends CheckpointParts {
  readonly family: "t5";
  readonly text: T5Config;
  readonly tokens: T5TokenIds;
}
export interface RetrievalCheckpointConfig extends CheckpointParts {
  readonly family: "retrieval";
  readonly text: RetrievalTextConfig;
  readonly tokens: RetrievalTokenIds;
}
export type GenerationConfig = OptCheckpointConfig | T5CheckpointConfig;
export type Blip2Config = GenerationConfig | RetrievalCheckpointConfig;
export type Family = Blip2Config["family"];
