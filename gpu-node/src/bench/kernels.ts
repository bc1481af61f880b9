// The runtime's own products of a matrix of activations with a matrix of weights, each as the few nodes that
// ask for it. Nothing here is the model's: what these reach on a machine is what a model made of them can.
import { blockSizes } from "../artifact/precision.ts";
import type { Graph } from "../onnx/graph.ts";
import { matMulBlocks } from "../onnx/coded-products.ts";
import { cast, matMul, single } from "../onnx/ops.ts";
import { dimAt, type ElementType, type Value } from "../onnx/value.ts";

/** Bits of a weight. */
export type Width = 32 | 16 | 8 | 4;

export interface MatrixShape {
  /** Columns of the activations. */
  readonly k: number;
  /** Columns of the product. */
  readonly n: number;
}

/** A tensor that a product reads; `name` is its own among those of one product. */
export type AskWeight = (name: string, type: ElementType, dims: readonly number[]) => Value;

export interface Kernel {
  readonly width: Width;
  /**
   * x [rows, k] -> [rows, n]. `copy` tells the products of one graph apart: the runtime would do what two of
   * them have in common once.
   */
  make(graph: Graph, x: Value, shape: MatrixShape, weight: AskWeight, copy: number): Value;
}

type Block = (typeof blockSizes)[number];
export type KernelName =
  | "fp32 MatMul"
  | "fp16 MatMul"
  | `${4 | 8}-bit MatMulNBits, block ${Block}`
  | "8-bit DynamicQuantizeMatMul"
  | "8-bit MatMulIntegerToFloat"
  | "8-bit QGemm";
export const blockKernel = (bits: 4 | 8, block: Block): KernelName =>
  `${bits}-bit MatMulNBits, block ${block}`;

const microsoft = "com.microsoft";
/** Activations of a bench lie within [-1, 1]. */
export const activationStep = 1 / 127;

const inBlocks = (bits: 4 | 8, block: number): Kernel => ({
  width: bits,
  make(graph, x, { k, n }, weight) {
    const blocks = Math.ceil(k / block);
    return matMulBlocks(graph, x, {
      columns: k,
      bits,
      block,
      codes: weight("codes", "uint8", [n, blocks, (block * bits) / 8]),
      scales: weight("scales", "float32", [n, blocks]),
    });
  },
});

const blockKernels = <Bits extends 4 | 8>(bits: Bits) =>
  Object.fromEntries(
    blockSizes.map((block) => [blockKernel(bits, block), inBlocks(bits, block)]),
  ) as Record<`${Bits}-bit MatMulNBits, block ${Block}`, Kernel>;

const byteConstant = (graph: Graph, value: number, type: "uint8" | "int8"): Value =>
  cast(graph, graph.constant("int64", [value], []), type);

/** Rounds x to 8 bits around 128. */
function quantized(
  graph: Graph,
  x: Value,
  copy: number,
): readonly [codes: Value, step: Value, middle: Value] {
  const step = graph.constant("float32", [activationStep * (1 + copy / 1000)], []);
  const middle = byteConstant(graph, 128, "uint8");
  return [single(graph, "QuantizeLinear", [x, step, middle], "uint8", x.shape), step, middle];
}

const productShape = (x: Value, n: number) => [dimAt(x.shape, 0), n];

/** By the names that a report gives them. */
export const kernels: Readonly<Record<KernelName, Kernel>> = {
  "fp32 MatMul": {
    width: 32,
    make: (graph, x, { k, n }, weight) => matMul(graph, x, weight("weights", "float32", [k, n])),
  },
  "fp16 MatMul": {
    width: 16,
    make: (graph, x, { k, n }, weight) =>
      cast(
        graph,
        matMul(graph, cast(graph, x, "float16"), weight("weights", "float16", [k, n])),
        "float32",
      ),
  },
  ...blockKernels(4),
  ...blockKernels(8),
  "8-bit DynamicQuantizeMatMul": {
    width: 8,
    make: (graph, x, { k, n }, weight) =>
      single(
        graph,
        "DynamicQuantizeMatMul",
        [x, weight("codes", "int8", [k, n]), weight("scales", "float32", [n])],
        "float32",
        productShape(x, n),
        {},
        microsoft,
      ),
  },
  "8-bit MatMulIntegerToFloat": {
    width: 8,
    make(graph, x, { k, n }, weight, copy) {
      const [codes, step, middle] = quantized(graph, x, copy);
      const weights = weight("codes", "int8", [k, n]);
      const inputs = [codes, weights, step, weight("scales", "float32", [n]), middle];
      const shape = productShape(x, n);
      return single(graph, "MatMulIntegerToFloat", inputs, "float32", shape, {}, microsoft);
    },
  },
  "8-bit QGemm": {
    width: 8,
    make(graph, x, { k, n }, weight, copy) {
      const [codes, step, middle] = quantized(graph, x, copy);
      const zero = byteConstant(graph, 0, "int8");
      const size = graph.constant("int64", [n]);
      const inputs = [
        codes,
        step,
        middle,
        weight("codes", "int8", [n, k]),
        weight("scales", "float32", [n]),
        single(graph, "Expand", [zero, size], "int8", [n]), // folded when it is loaded
      ];
      const shape = productShape(x, n);
      return single(graph, "QGemm", inputs, "float32", shape, { transB: 1 }, microsoft);
    },
  },
};
