// ONNX operators as functions: each makes one node and returns a value whose type and shape are
// inferred here. A wrong call is a mistake in a model's code and throws at once, before any weight is read.
// Source of the semantics: onnx/docs/Operators.md at opset 21.
import type { Graph } from "./graph.ts";
import {
  addDims,
  broadcastShapes,
  describeValue,
  type Dim,
  dimAt,
  type ElementType,
  elementTypes,
  fixedDim,
  formatShape,
  type Shape,
  type Value,
} from "./value.ts";
import type { AttributeInput } from "./graph.ts";

/** A node with one output. */
export function single(
  graph: Graph,
  op: string,
  inputs: readonly (Value | undefined)[],
  type: ElementType,
  shape: Shape,
  attributes: Readonly<Record<string, AttributeInput>> = {},
  domain = "",
): Value {
  const [value] = graph.node({ op, inputs, outputs: [{ type, shape }], attributes, domain });
  if (value === undefined) throw new Error(`${op} has no output`);
  return value;
}

const binary = (op: string, result?: ElementType) => (graph: Graph, a: Value, b: Value) => {
  if (a.type !== b.type) throw new Error(`${op}: ${describeValue(a)} and ${describeValue(b)}`);
  return single(graph, op, [a, b], result ?? a.type, broadcastShapes(a.shape, b.shape));
};
export const add = binary("Add");
export const sub = binary("Sub");
export const mul = binary("Mul");
export const div = binary("Div");
export const max = binary("Max");
const pow = binary("Pow");
export const and = binary("And");
export const lessOrEqual = binary("LessOrEqual", "bool");
export const greater = binary("Greater", "bool");
export const less = binary("Less", "bool");
export const equal = binary("Equal", "bool");
export const or = binary("Or");

export const not = (graph: Graph, x: Value): Value => single(graph, "Not", [x], "bool", x.shape);

export const relu = (graph: Graph, x: Value): Value => single(graph, "Relu", [x], x.type, x.shape);

/** The exact form, x / 2 * (1 + erf(x / sqrt 2)), or its approximation by tanh. */
export const gelu = (graph: Graph, x: Value, approximate: "none" | "tanh" = "none"): Value =>
  single(graph, "Gelu", [x], x.type, x.shape, { approximate });

/** Numbers below `low` become `low`, above `high` `high`. */
export const clip = (graph: Graph, x: Value, low: number, high: number): Value => {
  const type = x.type === "int64" ? "int64" : "float32";
  const bounds = [low, high].map((bound) => graph.constant(type, [bound], []));
  return single(graph, "Clip", [x, ...bounds], x.type, x.shape);
};

export const softmax = (graph: Graph, x: Value): Value =>
  single(graph, "Softmax", [x], x.type, x.shape, { axis: -1 });

/** `condition ? a : b`, element by element. */
export const where = (graph: Graph, condition: Value, a: Value, b: Value): Value =>
  single(
    graph,
    "Where",
    [condition, a, b],
    a.type,
    broadcastShapes(condition.shape, broadcastShapes(a.shape, b.shape)),
  );

/** [..., m, k] x [..., k, n] -> [..., m, n]. */
export function matMul(graph: Graph, a: Value, b: Value): Value {
  if (dimAt(a.shape, -1) !== dimAt(b.shape, -2)) {
    throw new Error(`MatMul: ${describeValue(a)} x ${describeValue(b)}`);
  }
  const stack = broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const shape = [...stack, dimAt(a.shape, -2), dimAt(b.shape, -1)];
  return single(graph, "MatMul", [a, b], a.type, shape);
}

/** [m, k] x [n, k] -> [m, n]: a product with a weight as it stands in the checkpoint. */
export function gemmTransposed(graph: Graph, a: Value, b: Value, bias?: Value): Value {
  if (a.shape.length !== 2 || dimAt(a.shape, 1) !== dimAt(b.shape, 1)) {
    throw new Error(`Gemm: ${describeValue(a)} x ${describeValue(b)} transposed`);
  }
  const shape = [dimAt(a.shape, 0), dimAt(b.shape, 0)];
  return single(graph, "Gemm", [a, b, bias], a.type, shape, { transB: 1 });
}

/** To another type: half precision rounds to the nearest, ties to even. */
export const cast = (graph: Graph, x: Value, type: ElementType): Value =>
  x.type === type ? x : single(graph, "Cast", [x], type, x.shape, { to: elementTypes[type].code });

/** The largest magnitude along the last axis: [..., k] -> [..., 1]. */
export const largestOfRow = (graph: Graph, x: Value): Value => {
  const magnitude = single(graph, "Abs", [x], x.type, x.shape);
  const shape = [...x.shape.slice(0, -1), 1];
  const inputs = [magnitude, graph.constant("int64", [-1])];
  return single(graph, "ReduceMax", inputs, x.type, shape, { keepdims: 1 });
};

/** Over the last axis, biased variance. */
export const layerNorm = (
  graph: Graph,
  x: Value,
  weight: Value,
  bias: Value,
  epsilon: number,
): Value =>
  single(graph, "LayerNormalization", [x, weight, bias], x.type, x.shape, {
    axis: -1,
    epsilon: { kind: "float", value: epsilon },
  });

/**
 * x / sqrt(mean(x^2) + epsilon) * weight over the last axis. Made of operators that ONNX Runtime fuses
 * into one; opset 21 has none of its own.
 */
export function rmsNorm(graph: Graph, x: Value, weight: Value, epsilon: number): Value {
  const number = (value: number) => graph.constant("float32", [value], []);
  const squares = pow(graph, x, number(2));
  const mean = single(
    graph,
    "ReduceMean",
    [squares, graph.constant("int64", [-1])],
    x.type,
    [...x.shape.slice(0, -1), 1],
    { keepdims: 1 },
  );
  const shifted = add(graph, mean, number(epsilon));
  const root = single(graph, "Sqrt", [shifted], x.type, shifted.shape);
  return mul(graph, div(graph, x, root), weight);
}

/** [batch, c, h, w] with [out, c, k, k], stride k, no padding -> [batch, out, h / k, w / k]. */
export function patchConvolution(graph: Graph, x: Value, weight: Value, bias: Value): Value {
  const stride = fixedDim(weight.shape, 2);
  const cells = [2, 3].map((axis) => Math.floor(fixedDim(x.shape, axis) / stride));
  const shape = [dimAt(x.shape, 0), dimAt(weight.shape, 0), ...cells];
  return single(graph, "Conv", [x, weight, bias], x.type, shape, {
    kernel_shape: [stride, stride],
    strides: [stride, stride],
  });
}

export const transpose = (graph: Graph, x: Value, order: readonly number[]): Value => {
  const shape = order.map((axis) => dimAt(x.shape, axis));
  return single(graph, "Transpose", [x], x.type, shape, { perm: order });
};

/**
 * To `shape`, whose named dimensions must be those of `x`: one at the same place is copied, at most one
 * other is inferred. The fixed dimensions must multiply to the same number.
 */
export function reshape(graph: Graph, x: Value, shape: Shape): Value {
  const split = (dims: Shape): string => {
    const named = dims.filter((dim) => typeof dim === "string").sort();
    const product = dims.reduce<number>(
      (sum, dim) => (typeof dim === "number" ? sum * dim : sum),
      1,
    );
    return `${named.join("*")}*${product}`;
  };
  if (split(shape) !== split(x.shape)) {
    throw new Error(`Reshape: ${describeValue(x)} to ${formatShape(shape)}`);
  }
  const target = shape.map((dim, axis) =>
    typeof dim === "number" ? dim : dim === x.shape[axis] ? 0 : -1,
  );
  if (target.filter((size) => size === -1).length > 1) {
    throw new Error(`Reshape: ${describeValue(x)} to ${formatShape(shape)} is ambiguous`);
  }
  return single(graph, "Reshape", [x, graph.constant("int64", target)], x.type, shape);
}

/** `axis` counts from the front. `result` overrides the inferred size where it has a better name. */
export function concat(graph: Graph, parts: readonly Value[], axis: number, result?: Dim): Value {
  const [first] = parts;
  if (first === undefined) throw new Error("Concat of nothing");
  const total = parts.map((part) => dimAt(part.shape, axis)).reduce(addDims);
  const shape = first.shape.map((dim, index) => (index === axis ? (result ?? total) : dim));
  return single(graph, "Concat", parts, first.type, shape, { axis });
}

/** Equal parts along the last axis. */
export function splitLast(graph: Graph, x: Value, count: number): readonly Value[] {
  const shape = [...x.shape.slice(0, -1), fixedDim(x.shape, -1) / count];
  return graph.node({
    op: "Split",
    inputs: [x],
    outputs: Array.from({ length: count }, () => ({ type: x.type, shape })),
    attributes: { axis: -1, num_outputs: count },
  });
}

/** Parts along the last axis, as large as `sizes` int64 [parts] says; `names` of these sizes. */
export function splitSizes(
  graph: Graph,
  x: Value,
  sizes: Value,
  names: readonly Dim[],
): readonly Value[] {
  const front = x.shape.slice(0, -1);
  return graph.node({
    op: "Split",
    inputs: [x, sizes],
    outputs: names.map((name) => ({ type: x.type, shape: [...front, name] })),
    attributes: { axis: -1 },
  });
}

/** Places [start, end) of one axis; without `end` to its end, a size that `length` names. */
export function slice(
  graph: Graph,
  x: Value,
  axis: number,
  range:
    | { readonly start: number; readonly end: number }
    | { readonly start: number; readonly length: Dim },
): Value {
  const index = (value: number) => graph.constant("int64", [value]);
  const open = "length" in range;
  const size = open ? range.length : range.end - range.start;
  const shape = x.shape.map((dim, at) => (at === axis ? size : dim));
  const ends = [index(range.start), index(open ? toTheEnd : range.end), index(axis)];
  return single(graph, "Slice", [x, ...ends], x.type, shape);
}
/** Beyond the length of any axis; Slice stops where the axis does. */
const toTheEnd = 2 ** 31 - 1;

/** The mean over one axis, which disappears. */
export const mean = (graph: Graph, x: Value, axis: number): Value =>
  single(
    graph,
    "ReduceMean",
    [x, graph.constant("int64", [axis])],
    x.type,
    x.shape.filter((_, at) => at !== axis),
    { keepdims: 0 },
  );

/** x / max(|x|, 1e-12) over the last axis, |x| the Euclidean length. Source: torch.nn.functional.normalize. */
export function normalise(graph: Graph, x: Value): Value {
  const shape = [...x.shape.slice(0, -1), 1];
  const axes = graph.constant("int64", [-1]);
  const length = single(graph, "ReduceL2", [x, axes], x.type, shape, { keepdims: 1 });
  const least = graph.constant("float32", [1e-12], []);
  return div(graph, x, single(graph, "Max", [length, least], x.type, shape));
}

/** Rows of `table` by index: [rows, ...rest] and [...ids] -> [...ids, ...rest]. */
export const lookUp = (graph: Graph, table: Value, ids: Value): Value =>
  single(graph, "Gather", [table, ids], table.type, [...ids.shape, ...table.shape.slice(1)], {
    axis: 0,
  });

/** The slice at `index` (from the end when negative) of `axis`, which disappears. */
export const pick = (graph: Graph, x: Value, axis: number, index: number): Value =>
  single(
    graph,
    "Gather",
    [x, graph.constant("int64", [index], [])],
    x.type,
    x.shape.filter((_, at) => at !== axis),
    { axis },
  );

/** Of each row of x [batch, places, ...rest] the place `index` int64 [batch] names -> [batch, ...rest]. */
export const pickEach = (graph: Graph, x: Value, index: Value): Value =>
  single(
    graph,
    "GatherND",
    [x, unsqueeze(graph, index, [1])],
    x.type,
    [dimAt(x.shape, 0), ...x.shape.slice(2)],
    { batch_dims: 1 },
  );

/** Of each row of x [batch, n] the number at `index` int64 [batch, 1] -> [batch, 1]. */
export const numberAt = (graph: Graph, x: Value, index: Value): Value =>
  single(graph, "GatherElements", [x, index], x.type, index.shape, { axis: 1 });

/** The first place of the largest number along the last axis: [..., n] -> int64 [..., 1]. */
export const argMax = (graph: Graph, x: Value): Value =>
  single(graph, "ArgMax", [x], "int64", [...x.shape.slice(0, -1), 1], { axis: -1, keepdims: 1 });

/** log(sum(exp(x))) along the last axis: [..., n] -> [..., 1]. */
export const logSumExp = (graph: Graph, x: Value): Value => {
  const axes = graph.constant("int64", [-1]);
  const shape = [...x.shape.slice(0, -1), 1];
  return single(graph, "ReduceLogSumExp", [x, axes], x.type, shape, { keepdims: 1 });
};

/** Whether any of bool [n] is true: a bool scalar. */
export const any = (graph: Graph, x: Value): Value => {
  const numbers = cast(graph, x, "int64");
  const inputs = [numbers, graph.constant("int64", [0])];
  const largest = single(graph, "ReduceMax", inputs, "int64", [], { keepdims: 0 });
  return cast(graph, largest, "bool");
};

/** The size of one axis as int64 [1]. */
export const sizeOf = (graph: Graph, x: Value, axis: number): Value =>
  single(graph, "Shape", [x], "int64", [1], { start: axis, end: axis + 1 });

/** int64 [1] -> int64 scalar. */
export const scalar = (graph: Graph, x: Value): Value =>
  single(graph, "Squeeze", [x, graph.constant("int64", [0])], x.type, []);

/** [0, 1, ..., end - 1] of an int64 scalar; `length` names the size. */
export const range = (graph: Graph, end: Value, length: Dim): Value =>
  single(
    graph,
    "Range",
    [graph.constant("int64", [0], []), end, graph.constant("int64", [1], [])],
    "int64",
    [length],
  );

/** Adds axes of size 1 at these places of the result. */
export const unsqueeze = (graph: Graph, x: Value, axes: readonly number[]): Value => {
  const shape: Dim[] = [...x.shape];
  for (const axis of [...axes].sort((a, b) => a - b)) shape.splice(axis, 0, 1);
  return single(graph, "Unsqueeze", [x, graph.constant("int64", axes)], x.type, shape);
};

/** [1, ...rest] repeated for the batch of `like`: [batch, ...rest]. */
export function repeatForBatch(graph: Graph, x: Value, like: Value): Value {
  const rest = x.shape.slice(1).map((_, index) => fixedDim(x.shape, index + 1));
  const target = concat(graph, [sizeOf(graph, like, 0), graph.constant("int64", rest)], 0);
  return single(graph, "Expand", [x, target], x.type, [dimAt(like.shape, 0), ...rest]);
}

/** As many zeros as `size` int64 [rank] says. */
export const zeros = (graph: Graph, size: Value, shape: Shape): Value =>
  single(graph, "Expand", [graph.constant("float32", [0], []), size], "float32", shape);
