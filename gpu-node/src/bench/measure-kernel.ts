// One kernel of the runtime at one shape. Where a product is cheap, a run is several with weights of their own, more
// than the caches hold: a model comes back to a matrix only after all its others.
import { externalBytes } from "../onnx/external-data.ts";
import { createGraph, type Graph } from "../onnx/graph.ts";
import { add, pick } from "../onnx/ops.ts";
import type { SessionOptions } from "../runtime/ort.ts";
import { floatTensor } from "../tensor/tensor.ts";
import { bestOf, type Repeats } from "./best-of.ts";
import { withGraph } from "./graph-session.ts";
import { type KernelName, kernels, type MatrixShape, type Width } from "./kernels.ts";

export interface KernelRate extends MatrixShape {
  readonly kernel: KernelName;
  readonly width: Width;
  readonly rows: number;
  /** Of one product. */
  readonly seconds: number;
  readonly gflops: number;
  /** Weights, scales and all that stands with them. */
  readonly weightBytesPerSecond: number;
}

export interface KernelSettings extends SessionOptions, Repeats {
  /** The weights of a run take at least this much, as long as it stays within `maxFlops`. */
  readonly coldBytes: number;
  readonly maxFlops: number;
}

export const productFlops = (rows: number, { k, n }: MatrixShape): number => 2 * rows * k * n;

/** x f32 [rows, k] -> "product" f32 [rows, n] */
export function productGraph(name: KernelName, shape: MatrixShape): Graph {
  const graph = createGraph("product");
  const x = graph.input("x", "float32", ["rows", shape.k]);
  graph.output("product", addProduct(graph, name, shape, x, 0));
  return graph;
}

const addProduct = (
  graph: Graph,
  name: KernelName,
  shape: MatrixShape,
  x: ReturnType<Graph["input"]>,
  copy: number,
) =>
  kernels[name].make(
    graph,
    x,
    shape,
    (weight, type, dims) => graph.external({ name: `${copy}.${weight}`, type, dims }),
    copy,
  );

/** Products of the same x with `copies` matrices; a column of each is all that leaves the runtime. */
function manyProducts(name: KernelName, shape: MatrixShape, copies: number): Graph {
  const graph = createGraph("products");
  const x = graph.input("x", "float32", ["rows", shape.k]);
  const columns = Array.from({ length: copies }, (_, copy) =>
    pick(graph, addProduct(graph, name, shape, x, copy), 1, 0),
  );
  graph.output(
    "columns",
    columns.reduce((sum, column) => add(graph, sum, column)),
  );
  return graph;
}

const weightBytesOf = (graph: Graph): number =>
  [...graph.externals.values()].reduce((sum, tensor) => sum + externalBytes(tensor), 0);

/** A graph of more nodes measures the runtime's way from node to node. */
const maxCopies = 64;

/** In [-1, 1], no two neighbours alike. */
export function activations(rows: number, k: number): Float32Array {
  const numbers = new Float32Array(rows * k);
  for (let at = 0; at < numbers.length; at += 1) numbers[at] = ((at * 37) % 255) / 127 - 1;
  return numbers;
}

/** Errors: those of withGraph, the signal's reason. */
export async function measureKernel(
  name: KernelName,
  rows: number,
  shape: MatrixShape,
  settings: KernelSettings,
): Promise<KernelRate> {
  const { coldBytes, maxFlops, ...rest } = settings;
  const flops = productFlops(rows, shape);
  const weightBytes = weightBytesOf(productGraph(name, shape));
  const copies = Math.min(
    maxCopies,
    Math.ceil(coldBytes / weightBytes),
    Math.max(1, Math.floor(maxFlops / flops)),
  );
  const x = floatTensor(activations(rows, shape.k), [rows, shape.k]);
  const graph = manyProducts(name, shape, copies);
  const tookMs = await withGraph(graph, rest, (session) => bestOf(rest, () => session.run({ x })));
  const seconds = tookMs / 1000 / copies;
  return {
    kernel: name,
    width: kernels[name].width,
    rows,
    ...shape,
    seconds,
    gflops: flops / seconds / 1e9,
    weightBytesPerSecond: weightBytes / seconds,
  };
}
