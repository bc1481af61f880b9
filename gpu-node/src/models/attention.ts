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

const scaled = (
  graph: Graph,
  query: Value,
  { headDim }: HeadShape,
  scale = headDim ** -0.5,
): Value => (scale === 1 ? query : ops.mul(graph, query, graph.constant("float32", [scale], [])));

/** [batch, heads, queries, headDim] -> [batch, queries, heads * headDim] */
function mergeHeads(graph: Graph, x: Value, { heads, headDim }: HeadShape): Value {
  const merged = ops.transpose(graph, x, [0, 2, 1, 3]);
  const [batch, queries] = [dimAt(merged.shape, 0), dimAt(merged.shape, 1)];
  return ops.reshape(graph, merged, [batch, queries, heads * headDim]);
}

/** softmax(scale * q k^T + bias) v -> [batch, queries, heads * headDim] */
export function attention(graph: Graph, inputs: AttentionInputs, shape: HeadShape): Value {
  const query = splitHeads(graph, scaled(graph, inputs.query, shape, inputs.scale), shape);
  const keysLast = ops.transpose(graph, as(graph, inputs.key, query), [0, 1, 3, 2]);
  const scores = ops.matMul(graph, query, keysLast); // [batch, heads, queries, keys]
  const masked = inputs.bias === undefined ? scores : ops.add(graph, scores, inputs.bias);
  const value = as(graph, inputs.value, query);
  return mergeHeads(graph, ops.matMul(graph, ops.softmax(graph, masked), value), shape);
}

/** Kept from step to step, in f32 or in f16: computed with in f32. */
export interface KeyValue {
  /** [batch, heads, keys, headDim] */
  readonly key: Value;
  /** [batch, heads, keys, headDim] */
  readonly value: Value;
}

/** `x` in the numbers of `kind`. */
export const as = (graph: Graph, x: Value, kind: Pick<Value, "type">): Value =>
  x.type === kind.type ? x : ops.cast(graph, x, kind.type);

export interface CachedInputs {
  /** [batch, queries, heads * headDim] */
  readonly query: Value;
  /** Keys of before: read where they lie, never copied. `bias` broadcasts to [batch, heads, queries, past]. */
  readonly past: KeyValue & { readonly bias: Value };
  /** Keys since then. */
  readonly fresh: KeyValue & { readonly bias: Value };
  /** How many keys each of the two has: int64 [2]. */
  readonly counts: Value;
  /** Of the scores; 1 / sqrt(headDim) by default. */
  readonly scale?: number;
}

/**
 * Attention over two lots of keys as if they stood in one row, which would have to be copied together for
 * every token: -> [batch, queries, heads * headDim].
 */
export function cachedAttention(graph: Graph, inputs: CachedInputs, shape: HeadShape): Value {
  const { past, fresh } = inputs;
  const query = splitHeads(graph, scaled(graph, inputs.query, shape, inputs.scale), shape);
  const parts = [past, fresh].map(({ key, bias }) => {
    const keysLast = ops.transpose(graph, as(graph, key, query), [0, 1, 3, 2]);
    return ops.add(graph, ops.matMul(graph, query, keysLast), bias); // [batch, heads, queries, keys]
  });
  const shares = ops.softmax(graph, ops.concat(graph, parts, 3));
  const sizes = [past, fresh].map(({ key }) => dimAt(key.shape, 2));
  const mixed = ops
    .splitSizes(graph, shares, inputs.counts, sizes)
    .map((share, at) =>
      ops.matMul(graph, share, as(graph, at === 0 ? past.value : fresh.value, query)),
    );
  return mergeHeads(
    graph,
    mixed.reduce((sum, part) => ops.add(graph, sum, part)),
    shape,
  );
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

/** 0 for the past keys that a row has, `lengths` int64 [batch] of them, very low beyond: f32 [batch, 1, 1, past]. */
export function pastBias(graph: Graph, pastKey: Value, lengths: Value): Value {
  const places = pastPlaces(graph, pastKey);
  const held = ops.less(graph, places, ops.unsqueeze(graph, lengths, [1])); // [batch, past]
  return maskedBias(graph, ops.unsqueeze(graph, held, [1, 2]));
}

/** Places of the keys of a cache: i64 [past]. */
export const pastPlaces = (graph: Graph, pastKey: Value): Value =>
  ops.range(graph, ops.scalar(graph, ops.sizeOf(graph, pastKey, 2)), dimAt(pastKey.shape, 2));
