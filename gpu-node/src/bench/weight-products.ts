// Which matrices a graph multiplies with, read from the graph itself: what is measured is what was built, whatever
// the recipe. Products of two activations are not here; stage-work.ts counts those.
import type { GraphProto, NodeProto, TensorProto } from "../onnx/model-proto.ts";
import { elementTypes } from "../onnx/value.ts";
import type { KernelName, MatrixShape } from "./kernels.ts";
import { ownKernel } from "./limiting-kernels.ts";

export interface WeightProduct extends MatrixShape {
  /** Of the weight: begins with the checkpoint's tensor. */
  readonly name: string;
  readonly op: string;
  readonly kernel: KernelName;
  /** Of the weight with its scales and zero points, as they stand in the data file. */
  readonly bytes: number;
}

type Weights = ReadonlyMap<string, TensorProto>;

/** Every weight once, however often nodes read it; the bodies of loops and branches included. */
export function weightProducts(graph: GraphProto): readonly WeightProduct[] {
  const found = new Map<string, WeightProduct>();
  visit(graph, new Map(), (product) => found.set(product.name, product));
  return [...found.values()];
}

function visit(graph: GraphProto, around: Weights, tell: (product: WeightProduct) => void): void {
  const external = graph.initializer.filter(({ dataLocation }) => dataLocation === 1);
  const weights = new Map([...around, ...external.map((each) => [each.name, each] as const)]);
  for (const node of graph.node) {
    const product = productOf(node, weights);
    if (product !== undefined) tell(product);
    for (const { g } of node.attribute) if (g !== undefined) visit(g, weights, tell);
  }
}

function productOf(node: NodeProto, weights: Weights): WeightProduct | undefined {
  const { opType: op, input } = node;
  const read = input.flatMap((name) => weights.get(name) ?? []);
  // The matrix stands before its scales and biases.
  const [weight] = read;
  if (weight === undefined || weight.dims.length < 2) return undefined;
  const kernel = ownKernel({
    op,
    half: weight.dataType === elementTypes.float16.code,
    bits: numberOf(node, "bits"),
    block: numberOf(node, "block_size"),
  });
  if (kernel === undefined) return undefined;
  const bytes = read.reduce((sum, each) => sum + externalBytesOf(each), 0);
  return { name: weight.name, op, kernel, bytes, ...shapeOf(node, weight.dims.map(Number)) };
}

function shapeOf(node: NodeProto, dims: readonly number[]): MatrixShape {
  const [first = 0, ...rest] = dims;
  const others = rest.reduce((product, size) => product * size, 1);
  if (node.opType === "MatMulNBits") {
    return { k: numberOf(node, "K") ?? 0, n: numberOf(node, "N") ?? 0 };
  }
  const outFirst = node.opType === "Conv" || numberOf(node, "transB") === 1;
  return outFirst ? { k: others, n: first } : { k: first, n: others };
}

const numberOf = ({ attribute }: NodeProto, name: string): number | undefined => {
  const value = attribute.find((each) => each.name === name)?.i;
  return value === undefined ? undefined : Number(value);
};

const externalBytesOf = ({ externalData = [] }: TensorProto): number =>
  Number(externalData.find(({ key }) => key === "length")?.value ?? 0);
