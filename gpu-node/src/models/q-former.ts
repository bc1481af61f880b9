// The Q-Former in query mode: learned queries read the image, no text. Post-norm blocks, no masks.
// Source of the mathematics: transformers 5.18 models/blip_2/modeling_blip_2.py, Blip2QFormerModel.
import type { QformerConfig } from "../checkpoint/config.ts";
import type { Graph } from "../onnx/graph.ts";
import * as ops from "../onnx/ops.ts";
import type { Value } from "../onnx/value.ts";
import { attention, splitHeads } from "./attention.ts";
import { layerNorm, linear } from "./layers.ts";
import type { Weights } from "./weights.ts";

/** `x` asks, `source` answers; then output layer, residual and norm. */
function attend(
  graph: Graph,
  config: QformerConfig,
  weights: Weights,
  name: string,
  x: Value,
  source: Value,
): Value {
  const { hidden } = config;
  const query = linear(graph, weights, `${name}.attention.query`, x, hidden);
  const key = linear(graph, weights, `${name}.attention.key`, source, hidden);
  const value = linear(graph, weights, `${name}.attention.value`, source, hidden);
  const mixed = attention(
    graph,
    { query, key: splitHeads(graph, key, config), value: splitHeads(graph, value, config) },
    config,
  );
  const dense = linear(graph, weights, `${name}.output.dense`, mixed, hidden);
  const sum = ops.add(graph, dense, x);
  return layerNorm(graph, weights, `${name}.output.LayerNorm`, sum, config.layerNormEps);
}

function block(
  graph: Graph,
  config: QformerConfig,
  weights: Weights,
  layer: number,
  x: Value,
  image: Value,
): Value {
  const name = `qformer.encoder.layer.${layer}`;
  let a = graph.within("attention", () =>
    attend(graph, config, weights, `${name}.attention`, x, x),
  );
  if (layer % config.crossAttentionFrequency === 0) {
    const own = a;
    a = graph.within("crossattention", () =>
      attend(graph, config, weights, `${name}.crossattention`, own, image),
    );
  }
  const wide = linear(graph, weights, `${name}.intermediate_query.dense`, a, config.intermediate);
  const narrow = linear(
    graph,
    weights,
    `${name}.output_query.dense`,
    ops.gelu(graph, wide),
    config.hidden,
  );
  const sum = ops.add(graph, narrow, a);
  return layerNorm(graph, weights, `${name}.output_query.LayerNorm`, sum, config.layerNormEps);
}

/** image_embeds f32 [batch, tokens, visionHidden] -> query_output f32 [batch, queries, hidden]. */
export function qformerModel(
  graph: Graph,
  config: QformerConfig,
  weights: Weights,
  imageEmbeds: Value,
): Value {
  const queries = graph.external(weights("query_tokens", [1, config.queries, config.hidden]));
  const normed = layerNorm(graph, weights, "qformer.layernorm", queries, config.layerNormEps);
  let x = ops.repeatForBatch(graph, normed, imageEmbeds);
  for (let layer = 0; layer < config.layers; layer += 1) {
    x = graph.within(`layer.${layer}`, () => block(graph, config, weights, layer, x, imageEmbeds));
  }
  return x;
}

/** query_output -> projected f32 [batch, queries, lmHidden], what the language model reads. */
export const languageProjection = (
  graph: Graph,
  weights: Weights,
  queryOutput: Value,
  lmHidden: number,
): Value => linear(graph, weights, "language_projection", queryOutput, lmHidden);
