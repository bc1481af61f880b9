// The graphs of an artifact with the inputs and outputs that artifact/manifest.ts fixes.
import type { Blip2Config } from "../checkpoint/config.ts";
import { createGraph, type Graph } from "../onnx/graph.ts";
import { optDecoder } from "./opt.ts";
import { languageProjection, qformerModel } from "./q-former.ts";
import { visionModel } from "./vision.ts";
import type { Weights } from "./weights.ts";

export const partNames = ["vision", "qformer", "decoder"] as const;
export type PartName = (typeof partNames)[number];

function visionGraph(config: Blip2Config, weights: Weights): Graph {
  const graph = createGraph("vision");
  const { imageSize } = config.vision;
  const pixels = graph.input("pixel_values", "float32", ["batch", 3, imageSize, imageSize]);
  graph.output("image_embeds", visionModel(graph, config.vision, weights, pixels));
  return graph;
}

function qformerGraph(config: Blip2Config, weights: Weights): Graph {
  const graph = createGraph("qformer");
  const { tokens, hidden } = config.vision;
  const image = graph.input("image_embeds", "float32", ["batch", tokens, hidden]);
  const queryOutput = qformerModel(graph, config.qformer, weights, image);
  const projected = languageProjection(graph, weights, queryOutput, config.text.hidden);
  graph.output("query_output", queryOutput);
  graph.output("projected", projected);
  return graph;
}

function decoderGraph(config: Blip2Config, weights: Weights, tiedHead: boolean): Graph {
  const graph = createGraph("decoder");
  const { hidden, heads, headDim, layers } = config.text;
  const cache = ["batch", heads, "past", headDim];
  const inputs = {
    inputIds: graph.input("input_ids", "int64", ["batch", "tokens"]),
    prefixEmbeds: graph.input("prefix_embeds", "float32", ["batch", "prefix", hidden]),
    attentionMask: graph.input("attention_mask", "int64", ["batch", "past + prefix + tokens"]),
    positionIds: graph.input("position_ids", "int64", ["batch", "prefix + tokens"]),
    past: Array.from({ length: layers }, (_, layer) => ({
      key: graph.input(`past_key_values.${layer}.key`, "float32", cache),
      value: graph.input(`past_key_values.${layer}.value`, "float32", cache),
    })),
  };
  const { logits, present } = optDecoder(graph, config.text, weights, inputs, tiedHead);
  graph.output("logits", logits);
  for (const [layer, { key, value }] of present.entries()) {
    graph.output(`present.${layer}.key`, key);
    graph.output(`present.${layer}.value`, value);
  }
  return graph;
}

/** All graphs; asking `weights` for every tensor they need. */
export const blip2Graphs = (
  config: Blip2Config,
  weights: (part: PartName) => Weights,
  tiedHead: boolean,
): Record<PartName, Graph> => ({
  vision: visionGraph(config, weights("vision")),
  qformer: qformerGraph(config, weights("qformer")),
  decoder: decoderGraph(config, weights("decoder"), tiedHead),
});
