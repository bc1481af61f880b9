// The vision tower: EVA ViT with pre-norm blocks, all tokens kept. Source of the mathematics:
// transformers 5.18 models/blip_2/modeling_blip_2.py, Blip2VisionModel.
import type { VisionConfig } from "../checkpoint/config.ts";
import type { Graph } from "../onnx/graph.ts";
import * as ops from "../onnx/ops.ts";
import { dimAt, type Value } from "../onnx/value.ts";
import { attention, splitHeads } from "./attention.ts";
import { layerNorm, linear } from "./layers.ts";
import type { Weights } from "./weights.ts";

function embeddings(graph: Graph, config: VisionConfig, weights: Weights, pixels: Value): Value {
  const { hidden, patchSize, tokens } = config;
  const name = "vision_model.embeddings";
  const kernel = weights(`${name}.patch_embedding.weight`, [hidden, 3, patchSize, patchSize]);
  const bias = graph.external(weights(`${name}.patch_embedding.bias`, [hidden]));
  const grid = ops.patchConvolution(graph, pixels, graph.external(kernel), bias);
  const flat = ops.reshape(graph, grid, [dimAt(pixels.shape, 0), hidden, tokens - 1]);
  const patches = ops.transpose(graph, flat, [0, 2, 1]); // row by row
  const classToken = graph.external(weights(`${name}.class_embedding`, [1, 1, hidden]));
  const x = ops.concat(graph, [ops.repeatForBatch(graph, classToken, pixels), patches], 1);
  const positions = weights(`${name}.position_embedding`, [1, tokens, hidden]);
  return ops.add(graph, x, graph.external(positions));
}

function block(
  graph: Graph,
  config: VisionConfig,
  weights: Weights,
  name: string,
  x: Value,
): Value {
  const { hidden, layerNormEps, qkvBias } = config;
  const inner = layerNorm(graph, weights, `${name}.layer_norm1`, x, layerNormEps);
  const packed = linear(graph, weights, `${name}.self_attn.qkv`, inner, 3 * hidden, {
    bias: qkvBias,
  });
  const [query, key, value] = ops.splitLast(graph, packed, 3) as [Value, Value, Value];
  const mixed = attention(
    graph,
    { query, key: splitHeads(graph, key, config), value: splitHeads(graph, value, config) },
    config,
  );
  const attended = linear(graph, weights, `${name}.self_attn.projection`, mixed, hidden);
  const middle = ops.add(graph, x, attended);
  const normed = layerNorm(graph, weights, `${name}.layer_norm2`, middle, layerNormEps);
  const wide = linear(graph, weights, `${name}.mlp.fc1`, normed, config.intermediate);
  const narrow = linear(graph, weights, `${name}.mlp.fc2`, ops.gelu(graph, wide), hidden);
  return ops.add(graph, middle, narrow);
}

/** pixel_values f32 [batch, 3, S, S] -> image_embeds f32 [batch, tokens, hidden]. */
export function visionModel(
  graph: Graph,
  config: VisionConfig,
  weights: Weights,
  pixelValues: Value,
): Value {
  let x = graph.within("embeddings", () => embeddings(graph, config, weights, pixelValues));
  for (let layer = 0; layer < config.layers; layer += 1) {
    const name = `vision_model.encoder.layers.${layer}`;
    x = graph.within(`layers.${layer}`, () => block(graph, config, weights, name, x));
  }
  return layerNorm(graph, weights, "vision_model.post_layernorm", x, config.layerNormEps);
}
