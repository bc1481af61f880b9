// What a retrieval model has in place of a language model: the Q-Former's text side, the projections into
// the space where pictures and texts are compared (ITC), and the matching head (ITM).
// Source of the mathematics: transformers 5.18 models/blip_2/modeling_blip_2.py, Blip2ForImageTextRetrieval.
import type { QformerConfig, RetrievalTextConfig } from "../checkpoint/config.ts";
import type { Graph } from "../onnx/graph.ts";
import * as ops from "../onnx/ops.ts";
import { addDims, dimAt, type Value } from "../onnx/value.ts";
import { maskedBias, visibleKeys } from "./attention.ts";
import { embedding, linear } from "./layers.ts";
import { embeddingNorm, queryEmbeddings, throughLayers } from "./q-former.ts";
import type { Weights } from "./weights.ts";

export interface TextInputs {
  /** i64 [batch, tokens], padded on the right. */
  readonly inputIds: Value;
  /** i64 [batch, tokens]: 1 for a token, 0 for a pad. */
  readonly attentionMask: Value;
}
/** What of the configuration the text side needs. */
export interface RetrievalSizes {
  readonly qformer: QformerConfig;
  readonly text: RetrievalTextConfig;
}

/** Words and places, normed: f32 [batch, tokens, hidden]. The first token of every text has place 0. */
function textEmbeddings(
  graph: Graph,
  { qformer, text }: RetrievalSizes,
  weights: Weights,
  inputIds: Value,
): Value {
  const { hidden } = qformer;
  const rows = [text.vocab, hidden] as const;
  const words = embedding(graph, weights, "embeddings.word_embeddings.weight", rows, inputIds);
  const count = ops.scalar(graph, ops.sizeOf(graph, inputIds, 1));
  const places = ops.range(graph, count, dimAt(inputIds.shape, 1));
  const table = weights("embeddings.position_embeddings.weight", [text.context, hidden]);
  const positions = ops.lookUp(graph, graph.external(table), places);
  return embeddingNorm(graph, qformer, weights, ops.add(graph, words, positions));
}

/** A text alone: -> text_output f32 [batch, tokens, hidden]; what stands at a pad means nothing. */
export function textModel(
  graph: Graph,
  sizes: RetrievalSizes,
  weights: Weights,
  { inputIds, attentionMask }: TextInputs,
): Value {
  const { start, bias } = graph.within("embed", () => ({
    start: textEmbeddings(graph, sizes, weights, inputIds),
    bias: maskedBias(graph, visibleKeys(graph, attentionMask)),
  }));
  return throughLayers(graph, sizes.qformer, weights, start, (layer, x) =>
    layer.feedForward(layer.selfAttention(x, bias), "text"),
  );
}

/**
 * ITM of one image, image_embeds f32 [1, tokens, visionHidden], with every text of a batch: queries and text
 * attend to each other, the queries alone to the image. -> logits f32 [batch, 2]: does not match, matches.
 */
export function matchingModel(
  graph: Graph,
  sizes: RetrievalSizes,
  weights: Weights,
  imageEmbeds: Value,
  { inputIds, attentionMask }: TextInputs,
): Value {
  const { qformer } = sizes;
  const { queries } = qformer;
  const tokens = dimAt(inputIds.shape, 1);
  const all = addDims(queries, tokens);
  const { start, bias } = graph.within("embed", () => {
    const ones = graph.constant(
      "int64",
      Array.from({ length: queries }, () => 1),
      [1, queries],
    );
    const mask = [ops.repeatForBatch(graph, ones, inputIds), attentionMask];
    const parts = [
      queryEmbeddings(graph, qformer, weights, inputIds),
      textEmbeddings(graph, sizes, weights, inputIds),
    ];
    return {
      start: ops.concat(graph, parts, 1, all),
      bias: maskedBias(graph, visibleKeys(graph, ops.concat(graph, mask, 1, all))),
    };
  });
  const output = throughLayers(graph, qformer, weights, start, (layer, x, at) => {
    const mixed = layer.selfAttention(x, bias); // [batch, queries + tokens, hidden]
    const own = ops.slice(graph, mixed, 1, { start: 0, end: queries });
    const seen = layer.feedForward(layer.crossAttention(own, imageEmbeds), "query");
    if (at === qformer.layers - 1) return seen; // nobody reads the text after this
    const text = ops.slice(graph, mixed, 1, { start: queries, length: tokens });
    return ops.concat(graph, [seen, layer.feedForward(text, "text")], 1, all);
  }); // [batch, queries, hidden]
  return ops.mean(graph, linear(graph, weights, "itm_head", output, 2), 1);
}

/** query_output [batch, queries, hidden] -> projected f32 [batch, queries, dim], each of length 1. */
export const visionProjection = (
  graph: Graph,
  weights: Weights,
  queryOutput: Value,
  dim: number,
): Value => ops.normalise(graph, linear(graph, weights, "vision_projection", queryOutput, dim));

/** text_output [batch, tokens, hidden] -> projected f32 [batch, dim] of the first token, of length 1. */
export const textProjection = (
  graph: Graph,
  weights: Weights,
  textOutput: Value,
  dim: number,
): Value => {
  const first = ops.pick(graph, textOutput, 1, 0);
  return ops.normalise(graph, linear(graph, weights, "text_projection", first, dim));
};
