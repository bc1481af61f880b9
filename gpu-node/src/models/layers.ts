// The layers all towers share, named after the tensors they read. Weights are float32, activations
// [batch, tokens, hidden].
import type { Graph } from "../onnx/graph.ts";
import * as ops from "../onnx/ops.ts";
import { fixedDim, type Value } from "../onnx/value.ts";
import type { Weights } from "./weights.ts";

/** x W^T + b; `bias: false` where the checkpoint has none. Reads `{name}.weight`, `{name}.bias`. */
export function linear(
  graph: Graph,
  weights: Weights,
  name: string,
  x: Value,
  out: number,
  options: { readonly bias?: boolean } = {},
): Value {
  const kernel = weights(`${name}.weight`, [out, fixedDim(x.shape, -1)], "transposed");
  const product = ops.matMul(graph, x, graph.external(kernel));
  if (options.bias === false) return product;
  return ops.add(graph, product, graph.external(weights(`${name}.bias`, [out])));
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
