import { expect, test } from "vitest";
import { createGraph, type Graph } from "../onnx/graph.ts";
import { externalBytes } from "../onnx/external-data.ts";
import * as ops from "../onnx/ops.ts";
import { productGraph } from "./measure-kernel.ts";
import { weightProducts } from "./weight-products.ts";

const proto = (graph: Graph) =>
  graph.toProto((tensor) => ({ file: "data", offset: 0, bytes: externalBytes(tensor) }));
const weight = (graph: Graph, name: string, dims: readonly number[]) =>
  graph.external({ name, type: "float32", dims });

test("a weight that a loop's body reads counts once, wherever it stands", () => {
  const graph = createGraph("outer");
  const x = graph.input("x", "float32", ["rows", 4]);
  graph.output("y", ops.matMul(graph, x, weight(graph, "w", [4, 4])));
  const body = graph.subgraph("body");
  const inner = body.input("inner", "float32", ["rows", 4]);
  const again = ops.matMul(body, inner, weight(body, "w", [4, 4]));
  body.output("z", ops.matMul(body, again, weight(body, "v", [4, 6])));
  graph.node({
    op: "Loop",
    inputs: [undefined, undefined, x],
    outputs: [{ type: "float32", shape: ["rows", 6] }],
    attributes: { body: { kind: "graph", value: body } },
  });
  expect(weightProducts(proto(graph))).toEqual([
    { name: "w", op: "MatMul", kernel: "fp32 MatMul", bytes: 64, k: 4, n: 4 },
    { name: "v", op: "MatMul", kernel: "fp32 MatMul", bytes: 96, k: 4, n: 6 },
  ]);
});

test("lookups and products of activations are none", () => {
  const graph = createGraph("others");
  const x = graph.input("x", "float32", ["rows", 4]);
  const ids = graph.input("ids", "int64", ["rows"]);
  graph.output("rows", ops.lookUp(graph, weight(graph, "table", [9, 4]), ids));
  graph.output("square", ops.matMul(graph, x, ops.transpose(graph, x, [1, 0])));
  graph.output("sum", ops.add(graph, x, weight(graph, "bias", [4])));
  expect(weightProducts(proto(graph))).toEqual([]);
});

test.each([
  "fp32 MatMul",
  "fp16 MatMul",
  "4-bit MatMulNBits, block 32",
  "8-bit MatMulNBits, block 128",
  "8-bit DynamicQuantizeMatMul",
  "8-bit MatMulIntegerToFloat",
  "8-bit QGemm",
] as const)("%s is known for what it is", (kernel) => {
  const products = weightProducts(proto(productGraph(kernel, { k: 256, n: 24 })));
  expect(products).toMatchObject([{ kernel, k: 256, n: 24 }]);
});
