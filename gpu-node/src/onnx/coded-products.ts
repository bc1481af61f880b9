// Products and look-ups of matrices that are stored in codes of 4 or 8 bits, by operators of the runtime's own
// (domain com.microsoft; source: onnxruntime/docs/ContribOperators.md at 1.30).
import type { Graph } from "./graph.ts";
import * as ops from "./ops.ts";
import { describeValue, dimAt, fixedDim, type Value } from "./value.ts";

/** A matrix in block codes; see artifact/precision.ts. */
export interface BlockMatrix {
  /** Columns that count: the last block may be padded. */
  readonly columns: number;
  readonly bits: 4 | 8;
  readonly block: number;
  readonly codes: Value;
  readonly scales: Value;
  readonly zeroPoints?: Value | undefined;
}

/**
 * x [..., k] times a matrix [n, k] in block codes u8 [n, blocks, bytes], transposed -> [..., n]. Level 4:
 * the runtime may round each row of `x` to 8 bits, a scale for every block of it.
 */
export function matMulBlocks(graph: Graph, x: Value, matrix: BlockMatrix): Value {
  const { columns, bits, block, codes, scales, zeroPoints } = matrix;
  if (dimAt(x.shape, -1) !== columns) {
    throw new Error(`MatMulNBits: ${describeValue(x)} x ${columns} columns`);
  }
  const rows = fixedDim(codes.shape, 0);
  const attributes = { K: columns, N: rows, bits, block_size: block, accuracy_level: 4 };
  const inputs = [x, codes, scales, ...(zeroPoints === undefined ? [] : [zeroPoints])];
  const shape = [...x.shape.slice(0, -1), rows];
  return ops.single(graph, "MatMulNBits", inputs, x.type, shape, attributes, "com.microsoft");
}

/** A matrix in rows of 8-bit codes; see artifact/precision.ts. */
export interface RowMatrix {
  readonly rotation: number;
  /** i8 [n, k] */
  readonly codes: Value;
  /** f32 [n] */
  readonly scales: Value;
}

/** The entries of the Hadamard matrix of `size` (a power of two) rows after Sylvester, of length 1 each. */
function hadamard(size: number): number[] {
  const bits = (value: number): number => value.toString(2).replaceAll("0", "").length;
  return Array.from({ length: size * size }, (_, at) => {
    const [row, column] = [Math.floor(at / size), at % size];
    return (bits(row & column) % 2 === 0 ? 1 : -1) / Math.sqrt(size);
  });
}

/** Half of what 8 bits can tell apart. */
const byteReach = 127;
/** Not zero, so that a row of zeros stays one. */
const smallestStep = 1e-30;

/**
 * x [..., k] times a matrix [n, k] in rows of codes, transposed -> [..., n]. Each row of `x` is rotated as the
 * matrix is and rounded to 8 bits in units of its largest magnitude, so that its neighbours do not matter.
 */
export function matMulRows(graph: Graph, x: Value, { rotation, codes, scales }: RowMatrix): Value {
  const [n, k] = [fixedDim(codes.shape, 0), fixedDim(codes.shape, 1)];
  if (dimAt(x.shape, -1) !== k) {
    throw new Error(`QGemm: ${describeValue(x)} x ${describeValue(codes)} transposed`);
  }
  const flatTo = (value: Value, ...rest: readonly number[]): Value => {
    const target = graph.constant("int64", [-1, ...rest]);
    return ops.single(graph, "Reshape", [value, target], value.type, ["rows", ...rest]);
  };
  const number = (value: number): Value => graph.constant("float32", [value], []);
  const turn = (): Value => {
    const groups = flatTo(x, k / rotation, rotation);
    const entries = hadamard(rotation);
    const matrix = graph.constant("float32", entries, [rotation, rotation], "hadamard");
    return ops.matMul(graph, groups, matrix);
  };
  const flat = flatTo(rotation > 1 ? turn() : x, k); // [rows, k]
  const extreme = (op: "ReduceMax" | "ReduceMin", perByte: number): Value => {
    const inputs = [flat, graph.constant("int64", [-1])];
    const found = ops.single(graph, op, inputs, "float32", ["rows"], { keepdims: 0 });
    return ops.mul(graph, found, number(perByte)); // [rows]
  };
  const step = ops.max(
    graph,
    ops.max(graph, extreme("ReduceMax", 1 / byteReach), extreme("ReduceMin", -1 / byteReach)),
    number(smallestStep),
  );
  const middle = ops.cast(graph, graph.constant("int64", [byteReach + 1], []), "uint8");
  const middles = ops.single(graph, "Expand", [middle, ops.sizeOf(graph, step, 0)], "uint8", [
    "rows",
  ]);
  const rounded = ops.single(graph, "QuantizeLinear", [flat, step, middles], "uint8", flat.shape, {
    axis: 0,
  });
  const size = graph.constant("int64", [n]);
  const zero = ops.cast(graph, graph.constant("int64", [0], []), "int8");
  const noZeroPoints = ops.single(graph, "Expand", [zero, size], "int8", [n]); // folded when it is loaded
  const product = ops.single(
    graph,
    "QGemm",
    [rounded, number(1), middle, codes, scales, noZeroPoints],
    "float32",
    ["rows", n],
    { transB: 1 },
    "com.microsoft",
  );
  const front = x.shape.slice(0, -1);
  const open = front.filter((dim) => typeof dim === "string").length;
  const scaled = ops.mul(graph, product, ops.unsqueeze(graph, step, [1]));
  if (open <= 1) {
    const target = [...front.map((dim) => (typeof dim === "number" ? dim : -1)), n];
    const shape = graph.constant("int64", target);
    return ops.single(graph, "Reshape", [scaled, shape], "float32", [...front, n]);
  }
  const lead = ops.single(graph, "Shape", [x], "int64", [front.length], { start: 0, end: -1 });
  const shape = ops.concat(graph, [lead, size], 0);
  return ops.single(graph, "Reshape", [scaled, shape], "float32", [...front, n]);
}

/** Rows of a table in block codes u8 [rows, bytes] by index: [...ids] -> f32 [...ids, columns]. */
export function lookUpBlocks(graph: Graph, table: BlockMatrix, ids: Value): Value {
  const { columns, bits, block, codes, scales, zeroPoints } = table;
  const padded = fixedDim(scales.shape, 1) * block;
  const rows = ops.single(
    graph,
    "GatherBlockQuantized",
    [codes, ids, scales, ...(zeroPoints === undefined ? [] : [zeroPoints])],
    scales.type,
    [...ids.shape, padded],
    { bits, block_size: block, gather_axis: 0, quantize_axis: 1 },
    "com.microsoft",
  );
  if (padded === columns) return rows;
  const bounds = [0, columns, -1].map((bound) => graph.constant("int64", [bound]));
  return ops.single(graph, "Slice", [rows, ...bounds], rows.type, [...ids.shape, columns]);
}
