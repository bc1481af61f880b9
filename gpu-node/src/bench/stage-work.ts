// What each stage of a model has to compute and to read, as arithmetic over its shape. Norms, activations, biases and
// lookups are left out: they are what a stage may give away.
import { readFile } from "node:fs/promises";
import type { GenerationManifest } from "../artifact/manifest.ts";
import type { Artifact } from "../artifact/open-artifact.ts";
import { decodeModel, type GraphProto } from "../onnx/model-proto.ts";
import { productFlops } from "./measure-kernel.ts";
import { type WeightProduct, weightProducts } from "./weight-products.ts";

export const stages = ["vision", "qformer", "prefill", "decode"] as const;
export type Stage = (typeof stages)[number];

/** What of a manifest describes the work. */
export type WorkShape = Pick<GenerationManifest, "vision" | "qformer" | "decoder" | "family">;

export interface ModelWork {
  readonly shape: WorkShape;
  /** By the names of the graphs. */
  readonly products: Readonly<Record<string, readonly WeightProduct[]>>;
}

export interface StageProduct extends WeightProduct {
  readonly rows: number;
}

export interface StageWork {
  readonly products: readonly StageProduct[];
  /** Products of activations: scores of keys, mixtures of values. */
  readonly attention: {
    readonly flops: number;
    /** Keys and values of earlier steps. */
    readonly cacheBytes: number;
  };
}

export function modelWork(
  shape: WorkShape,
  graphs: Readonly<Record<string, GraphProto>>,
): ModelWork {
  const products = Object.entries(graphs).map(
    ([name, graph]) => [name, weightProducts(graph)] as const,
  );
  return { shape, products: Object.fromEntries(products) };
}

/** Errors: those of the file system. */
export async function artifactWork(
  { path }: Pick<Artifact, "path">,
  manifest: GenerationManifest,
): Promise<ModelWork> {
  const graphs = await Promise.all(
    Object.entries(manifest.graphs).map(
      async ([name, { file }]) => [name, decodeModel(await readFile(path(file))).graph] as const,
    ),
  );
  return modelWork(manifest, Object.fromEntries(graphs));
}

const count = (products: readonly WeightProduct[], name: RegExp): number =>
  products.filter((product) => name.test(product.name)).length;

/** Scores and mixture of one head's width are two products: 4 flops for each query, key and column. */
const attended = (layers: number, pairs: number, columns: number): number =>
  4 * layers * pairs * columns;

export interface StageSize {
  /** Images, or sequences that are decoded together. */
  readonly batch: number;
  /** Of the text behind the image. */
  readonly textTokens: number;
  /** Tokens that a sequence has made before the step. */
  readonly made: number;
}

export function stageWork(model: ModelWork, stage: Stage, size: StageSize): StageWork {
  const { batch } = size;
  const { vision, qformer } = model.shape;
  const part = (name: string): readonly WeightProduct[] => model.products[name] ?? [];
  const each = (
    products: readonly WeightProduct[],
    rows: (product: WeightProduct) => number,
  ): StageProduct[] => products.map((product) => ({ ...product, rows: batch * rows(product) }));

  switch (stage) {
    case "vision": {
      const products = part("vision");
      const layers = count(products, /\.self_attn\.qkv\./);
      const pairs = batch * vision.tokens ** 2;
      return {
        // The convolution of patches makes no class token.
        products: each(products, ({ op }) => vision.tokens - (op === "Conv" ? 1 : 0)),
        attention: { flops: attended(layers, pairs, vision.hidden), cacheBytes: 0 },
      };
    }
    case "qformer": {
      const products = part("qformer");
      const ofImage = /\.crossattention\.attention\.(key|value)\./;
      const own = count(products, /\.attention\.attention\.query\./);
      const cross = count(products, /\.crossattention\.attention\.query\./);
      const { queries, hidden } = qformer;
      return {
        products: each(products, ({ name }) => (ofImage.test(name) ? vision.tokens : queries)),
        attention: {
          flops:
            attended(own, batch * queries ** 2, hidden) +
            attended(cross, batch * queries * vision.tokens, hidden),
          cacheBytes: 0,
        },
      };
    }
    case "prefill":
      return prefillWork(model, size, each);
    case "decode":
      return {
        products: each(part("decoder"), () => 1),
        attention: decodeAttention(model, size),
      };
  }
}

function prefillWork(
  { shape, products }: ModelWork,
  { batch, textTokens }: StageSize,
  each: (
    products: readonly WeightProduct[],
    rows: (product: WeightProduct) => number,
  ) => StageProduct[],
): StageWork {
  const { decoder, qformer, family } = shape;
  const { decoder: ofDecoder = [], encoder = [] } = products;
  const inner = decoder.heads * decoder.head_dim;
  const source = qformer.queries + textTokens;
  if (family === "opt") {
    const pairs = (batch * source * (source + 1)) / 2;
    return {
      // The head scores the last position only.
      products: each(ofDecoder, ({ n }) => (n === decoder.vocab ? 1 : source)),
      attention: { flops: attended(decoder.layers, pairs, inner), cacheBytes: 0 },
    };
  }
  const layers = count(encoder, /\.encoder\.block\.\d+\.layer\.0\.SelfAttention\.q\./);
  return {
    products: [...each(encoder, () => source), ...each(ofDecoder, () => 1)],
    attention: {
      flops:
        attended(layers, batch * source ** 2, inner) +
        attended(decoder.layers, batch * source, inner),
      cacheBytes: 0,
    },
  };
}

const floatBytes = 4;

function decodeAttention(
  { shape }: ModelWork,
  { batch, textTokens, made }: StageSize,
): StageWork["attention"] {
  const { decoder, qformer } = shape;
  // OPT has image, text and what was made in one cache, T5 in two: the sum is the same.
  const keys = batch * (qformer.queries + textTokens + made);
  const inner = decoder.heads * decoder.head_dim;
  return {
    flops: attended(decoder.layers, keys, inner),
    cacheBytes: 2 * decoder.layers * keys * inner * floatBytes,
  };
}

export const stageFlops = ({ products, attention }: StageWork): number =>
  attention.flops + products.reduce((sum, product) => sum + productFlops(product.rows, product), 0);

export const stageWeightBytes = ({ products }: StageWork): number =>
  products.reduce((sum, { bytes }) => sum + bytes, 0);
