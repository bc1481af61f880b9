// Multi-head attention, the one place that decides which operators it is made of.
import type { Graph } from "../onnx/graph.ts";
import * as ops from "../onnx/ops.ts";
import { dimAt, type Value } from "../onnx/value.ts";

export interface AttentionInputs {
  /** [batch, queries, heads * headDim] */
  readonly query: Value;
  /** [batch, heads, keys, headDim] */
  readonly key: Value;
  /** [batch, heads, keys, headDim] */
  readonly value: Value;
  /** Added to the scores: broadcasts to [batch, heads, queries, keys]. */
  readonly bias?: Value;
}
export interface HeadShape {
  readonly heads: number;
  readonly headDim: number;
}

/** [batch, tokens, heads * headDim] -> [batch, heads, tokens, headDim] */
export function splitHeads(graph: Graph, x: Value, { heads, headDim }: HeadShape): Value {
  const [batch, tokens] = [dimAt(x.shape, 0), dimAt(x.shape, 1)];
  return ops.transpose(graph, ops.reshape(graph, x, [batch, tokens, heads, headDim]), [0, 2, 1, 3]);
}

/** softmax(q k^T / sqrt(headDim) + bias) v -> [batch, queries, heads * headDim] */
export function attention(graph: Graph, inputs: AttentionInputs, shape: HeadShape): Value {
  const { heads, headDim } = shape;
  const scale = graph.constant("float32", [headDim ** -0.5], []);
  const query = splitHeads(graph, ops.mul(graph, inputs.query, scale), shape);
  const keysLast = ops.transpose(graph, inputs.key, [0, 1, 3, 2]);
  const scores = ops.matMul(graph, query, keysLast); // [batch, heads, queries, keys]
  const masked = inputs.bias === undefined ? scores : ops.add(graph, scores, inputs.bias);
  const mixed = ops.matMul(graph, ops.softmax(graph, masked), inputs.value);
  const merged = ops.transpose(graph, mixed, [0, 2, 1, 3]); // [batch, queries, heads, headDim]
  const [batch, queries] = [dimAt(merged.shape, 0), dimAt(merged.shape, 1)];
  return ops.reshape(graph, merged, [batch, queries, heads * headDim]);
}
