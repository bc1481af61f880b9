// Multi-head attention, the one place that decides which operators it is made of, and who may look at whom.
import type { Graph } from "../onnx/graph.ts";
import * as ops from "../onnx/ops.ts";
import { type Dim, dimAt, type Value } from "../onnx/value.ts";

export interface AttentionInputs {
  /** [batch, queries, heads * headDim] */
  readonly query: Value;
  /** [batch, heads, keys, headDim] */
  readonly key: Value;
  /** [batch, heads, keys, headDim] */
  readonly value: Value;
  /** Added to the scores: broadcasts to [batch, heads, queries, keys]. */
  readonly bias?: Value;
  /** Of the scores; 1 / sqrt(headDim) by default. */
  readonly scale?: number;
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

/** softmax(scale * q k^T + bias) v -> [batch, queries, heads * headDim] */
export function attention(graph: Graph, inputs: AttentionInputs, shape: HeadShape): Value {
  const { heads, headDim } = shape;
  const { scale = headDim ** -0.5 } = inputs;
  const scaled =
    scale === 1
      ? inputs.query
      : ops.mul(graph, inputs.query, graph.constant("float32", [scale], []));
  const query = splitHeads(graph, scaled, shape);
  const keysLast = ops.transpose(graph, inputs.key, [0, 1, 3, 2]);
  const scores = ops.matMul(graph, query, keysLast); // [batch, heads, queries, keys]
  const masked = inputs.bias === undefined ? scores : ops.add(graph, scores, inputs.bias);
  const mixed = ops.matMul(graph, ops.softmax(graph, masked), inputs.value);
  const merged = ops.transpose(graph, mixed, [0, 2, 1, 3]); // [batch, queries, heads, headDim]
  const [batch, queries] = [dimAt(merged.shape, 0), dimAt(merged.shape, 1)];
  return ops.reshape(graph, merged, [batch, queries, heads * headDim]);
}

/** Finite, so that a row that may look at nothing gives an average and not NaN. */
const minFloat32 = -3.4028234663852886e38;

/** `bias` (0 when left out) where `allowed`, a very low number elsewhere. */
export function maskedBias(graph: Graph, allowed: Value, bias?: Value): Value {
  const [zero, low] = [0, minFloat32].map((value) => graph.constant("float32", [value], []));
  return ops.where(graph, allowed, bias ?? (zero as Value), low as Value);
}

/** Which keys a mask i64 [batch, keys] shows: bool [batch, 1, 1, keys]. */
export function visibleKeys(graph: Graph, mask: Value): Value {
  const seen = ops.greater(graph, mask, graph.constant("int64", [0], [])); // [batch, keys]
  return ops.unsqueeze(graph, seen, [1, 2]);
}

/** Places of queries that stand at the end of all keys. */
export interface Places {
  /** i64 [keys]: 0, 1, ... */
  readonly keys: Value;
  /** i64 [queries, 1]: the place of each query among the keys. */
  readonly queries: Value;
}

/** `counts`: how many keys and queries there are, i64 [1] each; `names` of these sizes. */
export function placesOf(
  graph: Graph,
  counts: { readonly keys: Value; readonly queries: Value },
  names: { readonly keys: Dim; readonly queries: Dim },
): Places {
  const keys = ops.range(graph, ops.scalar(graph, counts.keys), names.keys);
  const queries = ops.add(
    graph,
    ops.range(graph, ops.scalar(graph, counts.queries), names.queries),
    ops.sub(graph, counts.keys, counts.queries),
  );
  return { keys, queries: ops.unsqueeze(graph, queries, [1]) };
}

/** Whether a key stands no later than the query: bool [queries, keys]. */
export const noLater = (graph: Graph, { keys, queries }: Places): Value =>
  ops.lessOrEqual(graph, keys, queries);
