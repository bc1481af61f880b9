// The layers all towers share, named after the tensors they read. Activations are float32 [batch, tokens,
// hidden] whatever the weights are: half precision begins and ends inside a product.
import type { ExternalTensor, Graph } from "../onnx/graph.ts";
import {
  type BlockMatrix,
  lookUpBlocks,
  matMulBlocks,
  matMulRows,
} from "../onnx/coded-products.ts";
import * as ops from "../onnx/ops.ts";
import { fixedDim, type Value } from "../onnx/value.ts";
import type { StoredWeight, Weights } from "./weights.ts";

type StoredBlocks = Extract<StoredWeight, { kind: "blocks" }>;

const blockMatrix = (graph: Graph, stored: StoredBlocks, columns: number): BlockMatrix => ({
  columns,
  bits: stored.bits,
  block: stored.block,
  codes: graph.external(stored.codes),
  scales: graph.external(stored.scales),
  zeroPoints: stored.zeroPoints && graph.external(stored.zeroPoints),
});

/** A weight that is looked up or scores: in block codes or a number, never in rows. */
function floatOf(stored: StoredWeight): ExternalTensor {
  if (stored.kind === "float") return stored.tensor;
  throw new Error(`a table is stored as ${stored.kind}`);
}

/** A product in half precision when the weight is: its operand goes down before, its result up after. */
const inTypeOf = (graph: Graph, weight: Value, x: Value, product: (x: Value) => Value): Value =>
  ops.cast(graph, product(ops.cast(graph, x, weight.type)), "float32");

/** Not zero, so that a row of zeros stays one. */
const smallestDivisor = 1e-30;

export interface LinearOptions {
  /** False where the checkpoint has none. */
  readonly bias?: boolean;
  /**
   * The input may leave the range of half precision: there each row is divided by its largest magnitude
   * before the product and multiplied with it after.
   */
  readonly wideRange?: boolean;
}

/** x W^T + b. Reads `{name}.weight`, `{name}.bias`. */
export function linear(
  graph: Graph,
  weights: Weights,
  name: string,
  x: Value,
  out: number,
  options: LinearOptions = {},
): Value {
  const stored = weights(`${name}.weight`, [out, fixedDim(x.shape, -1)], "matrix");
  const product = multiply(graph, stored, x, options.wideRange ?? false);
  if (options.bias === false) return product;
  return ops.add(graph, product, graph.external(weights(`${name}.bias`, [out])));
}

function multiply(graph: Graph, stored: StoredWeight, x: Value, wideRange: boolean): Value {
  if (stored.kind === "blocks") {
    return matMulBlocks(graph, x, blockMatrix(graph, stored, fixedDim(x.shape, -1)));
  }
  if (stored.kind === "rows") {
    return matMulRows(graph, x, {
      rotation: stored.rotation,
      codes: graph.external(stored.codes),
      scales: graph.external(stored.scales),
    });
  }
  const kernel = graph.external(stored.tensor);
  const product = (input: Value): Value =>
    inTypeOf(graph, kernel, input, (operand) => ops.matMul(graph, operand, kernel));
  if (!wideRange || kernel.type === "float32") return product(x);
  const least = graph.constant("float32", [smallestDivisor], []);
  const scale = ops.max(graph, ops.largestOfRow(graph, x), least); // [..., 1]
  return ops.mul(graph, product(ops.div(graph, x, scale)), scale);
}

/** Rows of the table `name`, [rows, hidden], by index: [...ids] -> f32 [...ids, hidden]. */
export function embedding(
  graph: Graph,
  weights: Weights,
  name: string,
  dims: readonly [rows: number, hidden: number],
  ids: Value,
): Value {
  const stored = weights(name, dims, "table");
  if (stored.kind === "blocks") {
    return lookUpBlocks(graph, blockMatrix(graph, stored, dims[1]), ids);
  }
  const table = graph.external(floatOf(stored));
  return ops.cast(graph, ops.lookUp(graph, table, ids), "float32");
}

/** What every row of the table `name` has in common with x [batch, hidden]: f32 [batch, rows]. */
export function scores(
  graph: Graph,
  weights: Weights,
  name: string,
  x: Value,
  rows: number,
): Value {
  const hidden = fixedDim(x.shape, -1);
  const stored = weights(name, [rows, hidden], "head");
  if (stored.kind === "blocks") {
    return matMulBlocks(graph, x, blockMatrix(graph, stored, hidden));
  }
  const table = graph.external(floatOf(stored));
  return inTypeOf(graph, table, x, (operand) => ops.gemmTransposed(graph, operand, table));
}

/** Over the last axis. Reads `{name}.weight`, `{name}.bias`. */
export function layerNorm(
  graph: Graph,
  weights: Weights,
  name: string,
  x: Value,
  epsilon: number,
): Value {
  const dims = [fixedDim(x.shape, -1)];
  const scale = graph.external(weights(`${name}.weight`, dims));
  return ops.layerNorm(graph, x, scale, graph.external(weights(`${name}.bias`, dims)), epsilon);
}

/** Over the last axis, no bias. Reads `{name}.weight`. */
export function rmsNorm(
  graph: Graph,
  weights: Weights,
  name: string,
  x: Value,
  epsilon: number,
): Value {
  const scale = graph.external(weights(`${name}.weight`, [fixedDim(x.shape, -1)]));
  return ops.rmsNorm(graph, x, scale, epsilon);
}
