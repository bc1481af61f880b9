// The one typed, frozen record of a checkpoint's shape. Everything later reads this and never config.json.
// What the published files leave out takes the class defaults of transformers 5.18
// (models/blip_2/configuration_blip_2.py, models/opt/configuration_opt.py).

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

export interface TokenIds {
  readonly image: number;
  readonly bos: number;
  readonly pad: number;
  readonly eos: readonly number[];
}

export interface ImageConfig {
  readonly size: number;
  readonly rescaleFactor: number;
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

export interface Blip2Config {
  readonly family: "opt";
  readonly vision: VisionConfig;
  readonly qformer: QformerConfig;
  readonly text: OptConfig;
  readonly tokens: TokenIds;
  readonly image: ImageConfig;
}
