// The Q-Former: post-norm blocks in which learned queries read the image. Query mode knows no text and no
// masks; retrieval.ts puts the same layers together for texts, and for queries and text at once.
// Source of the mathematics: transformers 5.18 models/blip_2/modeling_blip_2.py, Blip2QFormerModel.
import type { QformerConfig } from "../checkpoint/config.ts";
import type { Graph } from "../onnx/graph.ts";
import * as ops from "../onnx/ops.ts";
import type { Value } from "../onnx/value.ts";
import { attention, splitHeads } from "./attention.ts";
import { layerNorm, linear } from "./layers.ts";
import type { Weights } from "./weights.ts";

/** Attends from `x` to `source` (keys that `bias` lowers count less); output layer, residual and norm. */
function attend(
  graph: Graph,
  config: QformerConfig,
  weights: Weights,
  name: string,
  x: Value,
  source: Value,
  bias?: Value,
): Value {
  const { hidden } = config;
  const query = linear(graph, weights, `${name}.attention.query`, x, hidden);
  const key = linear(graph, weights, `${name}.attention.key`, source, hidden);
  const value = linear(graph, weights, `${name}.attention.value`, source, hidden);
  const mixed = attention(
    graph,
    {
      query,
      key: splitHeads(graph, key, config),
      value: splitHeads(graph, value, config),
      ...(bias === undefined ? {} : { bias }),
    },
    config,
  );
  const dense = linear(graph, weights, `${name}.output.dense`, mixed, hidden);
  const sum = ops.add(graph, dense, x);
  return layerNorm(graph, weights, `${name}.output.LayerNorm`, sum, config.layerNormEps);
}

/** One layer of the Q-Former: the steps that a mode is put together from. */
interface QformerLayer {
  selfAttention(x: Value, bias?: Value): Value;
  /**
   * `x` [batch, queries, hidden] as it is in a layer that does not look at the image. The image's batch is
   * that of the queries or 1, and then its keys and values are computed once for all of them.
   */
  crossAttention(x: Value, image: Value): Value;
  /** Queries and text have feed-forward weights of their own. */
  feedForward(x: Value, side: "query" | "text"): Value;
}

function qformerLayer(
  graph: Graph,
  config: QformerConfig,
  weights: Weights,
  layer: number,
): QformerLayer {
  const name = `qformer.encoder.layer.${layer}`;
  return {
    selfAttention: (x, bias) =>
      graph.within("attention", () =>
        attend(graph, config, weights, `${name}.attention`, x, x, bias),
      ),
    crossAttention(x, image) {
      if (layer % config.crossAttentionFrequency !== 0) return x;
      return graph.within("crossattention", () =>
        attend(graph, config, weights, `${name}.crossattention`, x, image),
      );
    },
    feedForward(x, side) {
      const suffix = side === "query" ? "_query" : "";
      const wide = linear(
        graph,
        weights,
        `${name}.intermediate${suffix}.dense`,
        x,
        config.intermediate,
      );
      const narrow = linear(
        graph,
        weights,
        `${name}.output${suffix}.dense`,
        ops.gelu(graph, wide),
        config.hidden,
      );
      const sum = ops.add(graph, narrow, x);
      const norm = `${name}.output${suffix}.LayerNorm`;
      return layerNorm(graph, weights, norm, sum, config.layerNormEps);
    },
  };
}

/** Runs `make` for every layer, the result of one the input of the next. */
export function throughLayers(
  graph: Graph,
  config: QformerConfig,
  weights: Weights,
  start: Value,
  make: (layer: QformerLayer, x: Value, at: number) => Value,
): Value {
  let x = start;
  for (let at = 0; at < config.layers; at += 1) {
    const layer = qformerLayer(graph, config, weights, at);
    x = graph.within(`layer.${at}`, () => make(layer, x, at));
  }
  return x;
}

/** The norm that queries and word embeddings pass before the first layer. */
export const embeddingNorm = (
  graph: Graph,
  config: QformerConfig,
  weights: Weights,
  x: Value,
): Value => layerNorm(graph, weights, "qformer.layernorm", x, config.layerNormEps);

/** The learned queries, normed, for the batch of `like`: f32 [batch, queries, hidden]. */
export function queryEmbeddings(
  graph: Graph,
  config: QformerConfig,
  weights: Weights,
  like: Value,
): Value {
  const queries = graph.external(weights("query_tokens", [1, config.queries, config.hidden]));
  return ops.repeatForBatch(graph, embeddingNorm(graph, config, weights, queries), like);
}

/** image_embeds f32 [batch, tokens, visionHidden] -> query_output f32 [batch, queries, hidden]. */
export function qformerModel(
  graph: Graph,
  config: QformerConfig,
  weights: Weights,
  imageEmbeds: Value,
): Value {
  const start = queryEmbeddings(graph, config, weights, imageEmbeds);
  return throughLayers(graph, config, weights, start, (layer, x) => {
    const seen = layer.crossAttention(layer.selfAttention(x), imageEmbeds);
    return layer.feedForward(seen, "query");
  });
}

/** query_output -> projected f32 [batch, queries, lmHidden], what the language model reads. */
export const languageProjection = (
  graph: Graph,
  weights: Weights,
  queryOutput: Value,
  lmHidden: number,
): Value => linear(graph, weights, "language_projection", queryOutput, lmHidden);
