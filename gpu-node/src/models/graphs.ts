// The graphs of an artifact with the inputs and outputs that artifact/manifest.ts fixes.
import type {
  Blip2Config,
  OptCheckpointConfig,
  RetrievalCheckpointConfig,
  T5CheckpointConfig,
} from "../checkpoint/config.ts";
import type { CacheType } from "../artifact/precision.ts";
import { createGraph, type Graph } from "../onnx/graph.ts";
import type { Value } from "../onnx/value.ts";
import type { KeyValue } from "./attention.ts";
import type { RunOutputs } from "./decode-loop.ts";
import { optDecoder } from "./opt.ts";
import { languageProjection, qformerModel } from "./q-former.ts";
import {
  matchingModel,
  textModel,
  type TextInputs,
  textProjection,
  visionProjection,
} from "./retrieval.ts";
import { t5CrossCache, t5Decoder, t5Encoder } from "./t5.ts";
import { visionModel } from "./vision.ts";
import type { Weights } from "./weights.ts";

export type PartName = "vision" | "qformer" | "encoder" | "decoder" | "text" | "itm";

export interface GraphChoices {
  /** The checkpoint has no head of its own: the token embedding serves. */
  readonly tiedHead: boolean;
  /** Of keys and values. */
  readonly cache: CacheType;
}

function visionGraph(config: Blip2Config, weights: Weights): Graph {
  const graph = createGraph("vision");
  const { imageSize } = config.vision;
  const pixels = graph.input("pixel_values", "float32", ["batch", 3, imageSize, imageSize]);
  graph.output("image_embeds", visionModel(graph, config.vision, weights, pixels));
  return graph;
}

/** `project` makes what the rest of the model reads of the queries. */
function qformerGraph(
  config: Blip2Config,
  weights: Weights,
  project: (graph: Graph, queryOutput: Value) => Value,
): Graph {
  const graph = createGraph("qformer");
  const { tokens, hidden } = config.vision;
  const image = graph.input("image_embeds", "float32", ["batch", tokens, hidden]);
  const queryOutput = qformerModel(graph, config.qformer, weights, image);
  const projected = project(graph, queryOutput);
  graph.output("query_output", queryOutput);
  graph.output("projected", projected);
  return graph;
}

/** Keys and values of each layer as inputs of the type `cache`; `name` gives each its name. */
function cacheInputs(
  graph: Graph,
  cache: CacheType,
  shape: { readonly layers: number; readonly heads: number; readonly headDim: number },
  length: string,
  name: (layer: number, which: "key" | "value") => string,
): readonly KeyValue[] {
  const dims = ["batch", shape.heads, length, shape.headDim];
  const input = (layer: number, which: "key" | "value"): Value =>
    graph.input(name(layer, which), cache, dims);
  return Array.from({ length: shape.layers }, (_, layer) => ({
    key: input(layer, "key"),
    value: input(layer, "value"),
  }));
}

/** Inputs of a run of either decoder. */
const runInputs = (graph: Graph) => ({
  pastLengths: graph.input("past_lengths", "int64", ["batch"]),
  steps: graph.input("steps", "int64", []),
  heldBack: graph.input("held_back", "int64", ["batch"]),
});

/** Outputs of a run of either decoder; `name` gives each cache its name. */
function runOutputs(
  graph: Graph,
  { logits, ids, logProbs, fresh }: RunOutputs,
  name: (layer: number, which: "key" | "value") => string,
): void {
  graph.output("logits", logits);
  graph.output("ids", ids);
  graph.output("log_probs", logProbs);
  for (const [layer, { key, value }] of fresh.entries()) {
    graph.output(name(layer, "key"), key);
    graph.output(name(layer, "value"), value);
  }
}

function optDecoderGraph(
  config: OptCheckpointConfig,
  weights: Weights,
  { tiedHead, cache }: GraphChoices,
): Graph {
  const graph = createGraph("decoder");
  const { hidden } = config.text;
  const inputs = {
    inputIds: graph.input("input_ids", "int64", ["batch", "tokens"]),
    prefixEmbeds: graph.input("prefix_embeds", "float32", ["batch", "prefix", hidden]),
    positionIds: graph.input("position_ids", "int64", ["batch", "prefix + tokens"]),
    last: graph.input("last", "int64", ["batch"]),
    ...runInputs(graph),
    past: cacheInputs(
      graph,
      cache,
      config.text,
      "past",
      (layer, which) => `past_key_values.${layer}.${which}`,
    ),
  };
  const made = optDecoder(graph, config.text, weights, inputs, {
    tiedHead,
    endIds: config.tokens.eos,
  });
  runOutputs(graph, made, (layer, which) => `fresh.${layer}.${which}`);
  return graph;
}

/** Of the cross attention, in the names of a decoder that has two caches. */
const crossName = (layer: number, which: "key" | "value"): string =>
  `past_key_values.${layer}.encoder.${which}`;

function t5EncoderGraph({ text }: T5CheckpointConfig, weights: Weights, cache: CacheType): Graph {
  const graph = createGraph("encoder");
  const hiddenStates = t5Encoder(graph, text, weights, {
    inputIds: graph.input("input_ids", "int64", ["batch", "tokens"]),
    prefixEmbeds: graph.input("prefix_embeds", "float32", ["batch", "prefix", text.hidden]),
    attentionMask: graph.input("attention_mask", "int64", ["batch", "prefix + tokens"]),
  });
  const cross = t5CrossCache(graph, text, weights, hiddenStates, { type: cache });
  graph.output("encoder_hidden_states", hiddenStates);
  for (const [layer, { key, value }] of cross.entries()) {
    graph.output(crossName(layer, "key"), key);
    graph.output(crossName(layer, "value"), value);
  }
  return graph;
}

function t5DecoderGraph(
  config: T5CheckpointConfig,
  weights: Weights,
  { tiedHead, cache }: GraphChoices,
): Graph {
  const graph = createGraph("decoder");
  const { text } = config;
  const shape = { layers: text.decoderLayers, heads: text.heads, headDim: text.headDim };
  const inputs = {
    inputIds: graph.input("input_ids", "int64", ["batch", 1]),
    encoderAttentionMask: graph.input("encoder_attention_mask", "int64", ["batch", "source"]),
    ...runInputs(graph),
    past: cacheInputs(
      graph,
      cache,
      shape,
      "past",
      (layer, which) => `past_key_values.${layer}.decoder.${which}`,
    ),
    cross: cacheInputs(graph, cache, shape, "source", crossName),
  };
  const made = t5Decoder(graph, text, weights, inputs, { tiedHead, endIds: config.tokens.eos });
  runOutputs(graph, made, (layer, which) => `fresh.${layer}.decoder.${which}`);
  return graph;
}

const textInputs = (graph: Graph): TextInputs => ({
  inputIds: graph.input("input_ids", "int64", ["batch", "tokens"]),
  attentionMask: graph.input("attention_mask", "int64", ["batch", "tokens"]),
});

function textGraph(config: RetrievalCheckpointConfig, weights: Weights): Graph {
  const graph = createGraph("text");
  const textOutput = textModel(graph, config, weights, textInputs(graph));
  const projected = textProjection(graph, weights, textOutput, config.text.dim);
  graph.output("text_output", textOutput);
  graph.output("projected", projected);
  return graph;
}

function itmGraph(config: RetrievalCheckpointConfig, weights: Weights): Graph {
  const graph = createGraph("itm");
  const { tokens, hidden } = config.vision;
  const image = graph.input("image_embeds", "float32", [1, tokens, hidden]);
  graph.output("logits", matchingModel(graph, config, weights, image, textInputs(graph)));
  return graph;
}

/** All graphs in the order of a pass; asking `weights` for every tensor they need. */
export function blip2Graphs(
  config: Blip2Config,
  weights: (part: PartName) => Weights,
  choices: GraphChoices,
): ReadonlyMap<PartName, Graph> {
  const vision = visionGraph(config, weights("vision"));
  const ofQueries = weights("qformer");
  const qformer = qformerGraph(config, ofQueries, (graph, queryOutput) =>
    config.family === "retrieval"
      ? visionProjection(graph, ofQueries, queryOutput, config.text.dim)
      : languageProjection(graph, ofQueries, queryOutput, config.text.hidden),
  );
  const graphs = new Map<PartName, Graph>([
    ["vision", vision],
    ["qformer", qformer],
  ]);
  switch (config.family) {
    case "opt":
      return graphs.set("decoder", optDecoderGraph(config, weights("decoder"), choices));
    case "t5":
      return graphs
        .set("encoder", t5EncoderGraph(config, weights("encoder"), choices.cache))
        .set("decoder", t5DecoderGraph(config, weights("decoder"), choices));
    case "retrieval":
      return graphs
        .set("text", textGraph(config, weights("text")))
        .set("itm", itmGraph(config, weights("itm")));
  }
}
