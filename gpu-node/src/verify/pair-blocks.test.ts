// Graphs as recipes make them, cut and run: casts under no scope, float16 between blocks, quantised products,
// Loop bodies that read from around them.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createGraph, type Graph } from "../onnx/graph.ts";
import { encodeGraph } from "../onnx/model.ts";
import { decodeModel, type ModelProto } from "../onnx/model-proto.ts";
import * as ops from "../onnx/ops.ts";
import { elementTypes, type ElementType, type Value } from "../onnx/value.ts";
import { floatTensor, type InnerTensor } from "../tensor/tensor.ts";
import { convertTensor } from "./convert-tensor.ts";
import { precisionOf } from "./floors.ts";
import { pairBlocks } from "./pair-blocks.ts";
import { runArtifactBlock } from "./run-block.ts";

const model = (graph: Graph): ModelProto =>
  decodeModel(encodeGraph(graph, () => ({ file: "w.data", offset: 0, bytes: 8 })));
const weight = { name: "tower.weight", type: "float32", dims: [2] } as const;

/** x -> embed -> layers.0 -> layers.1 -> a norm under no scope. */
function floatGraph(): Graph {
  const graph = createGraph("g");
  let x = graph.input("x", "float32", ["batch", 2]);
  x = graph.within("embed", () => ops.relu(graph, x));
  for (const layer of [0, 1]) {
    x = graph.within(`layers.${layer}`, () => ops.add(graph, x, ops.relu(graph, x)));
  }
  graph.output("y", ops.mul(graph, x, graph.external(weight)));
  return graph;
}

const cast = (graph: Graph, x: Value, type: ElementType): Value =>
  ops.single(graph, "Cast", [x], type, x.shape, { to: elementTypes[type].code });

/** The same, but between its casts float16. */
function halfGraph(): Graph {
  const graph = createGraph("g");
  let x = cast(graph, graph.input("x", "float32", ["batch", 2]), "float16");
  x = graph.within("embed", () => ops.relu(graph, x));
  for (const layer of [0, 1]) {
    x = graph.within(`layers.${layer}`, () => {
      const up = cast(graph, ops.relu(graph, x), "float32");
      return ops.add(graph, x, cast(graph, up, "float16"));
    });
  }
  const scale = cast(graph, graph.external(weight), "float16");
  graph.output("y", cast(graph, ops.mul(graph, x, scale), "float32"));
  return graph;
}

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "pair-"));
  await writeFile(join(folder, "w.data"), new Uint8Array(Float32Array.of(2, 3).buffer));
});
afterEach(() => rm(folder, { recursive: true }));

describe("pairBlocks", () => {
  test("pairs by scope, names what has none by its weights, takes casts in", () => {
    const pairs = pairBlocks("tower", model(floatGraph()).graph, model(halfGraph()).graph);
    expect(pairs.map(({ name }) => name)).toEqual(["embed", "layers.0", "layers.1", "tower"]);
    expect(pairs.map(({ artifact }) => artifact.nodes.map(({ opType }) => opType))).toEqual([
      ["Cast", "Relu"],
      ["Relu", "Cast", "Cast", "Add"],
      ["Relu", "Cast", "Cast", "Add"],
      ["Cast", "Mul", "Cast"],
    ]);
    expect(pairs.map(({ outputs }) => [...outputs])).toEqual([
      [["/embed/Relu/output_0", "/embed/Relu/output_0"]],
      [["/layers.0/Add/output_0", "/layers.0/Add/output_0"]],
      [["/layers.1/Add/output_0", "/layers.1/Add/output_0"]],
      [["y", "y"]],
    ]);
    expect(pairs.map(({ artifact }) => precisionOf(artifact))).toEqual(Array(4).fill("fp16"));
    expect(pairs.map(({ float }) => precisionOf(float))).toEqual(Array(4).fill("fp32"));
  });

  test("float16 goes from block to block", async () => {
    const artifact = model(halfGraph());
    let x: InnerTensor = floatTensor(Float32Array.of(-1, 5), [1, 2]);
    for (const { artifact: block } of pairBlocks("tower", artifact.graph, artifact.graph)) {
      const [name = ""] = block.inputs;
      const outputs = await runArtifactBlock(artifact, block, folder, { [name]: x });
      x = Object.values(outputs)[0] ?? x;
      if (block.outputs[0] !== "y") expect(x.type).toBe("float16");
    }
    expect(x).toMatchObject({ type: "float32", data: Float32Array.of(0, 60) });
  });

  test("a graph with a block more, less or in another order is refused by name", () => {
    const float = model(floatGraph()).graph;
    const without = {
      ...float,
      node: float.node.filter(({ name }) => !name.includes("/layers.1/")),
    };
    expect(() => pairBlocks("tower", float, without)).toThrow(/no "layers\.1"|"layers\.1"/);
    expect(() => pairBlocks("tower", without, float)).toThrow(/it has "layers\.1" where/);
    const reversed = { ...float, node: float.node.toReversed() };
    expect(() => pairBlocks("tower", float, reversed)).toThrow(/it has "layers\.1" where "embed"/);
  });

  test("a block that gives another number of values is refused", () => {
    const graph = createGraph("g");
    const x = graph.input("x", "float32", ["batch", 2]);
    const made = graph.within("embed", () => [ops.relu(graph, x), ops.relu(graph, x)]);
    const y = graph.within("layers.0", () => ops.add(graph, made[0] ?? x, made[1] ?? x));
    graph.output("y", y);
    const other = createGraph("g");
    const z = other.within("embed", () => ops.relu(other, other.input("x", "float32", ["b", 2])));
    other.output(
      "y",
      other.within("layers.0", () => ops.add(other, z, z)),
    );
    expect(() => pairBlocks("tower", model(graph).graph, model(other).graph)).toThrow(
      /"embed" gives 1 values, the checkpoint's 2/,
    );
  });
});

describe("a block of other operators", () => {
  test("the body of a Loop takes its values and weights from around it", async () => {
    const graph = createGraph("g");
    const x = graph.input("x", "float32", ["batch", 2]);
    const before = graph.within("embed", () => ops.relu(graph, x));
    const after = graph.within("layers.0", () => {
      const body = graph.subgraph("body");
      body.input("step", "int64", []);
      const going = body.input("going", "bool", []);
      const state = body.input("state", "float32", ["batch", 2]);
      // `before` and the weight are captured, not handed in.
      const next = ops.add(body, state, ops.mul(body, before, body.external(weight)));
      body.output("going_out", ops.single(body, "Identity", [going], "bool", []));
      body.output("state_out", next);
      const count = graph.constant("int64", [3], []);
      const zero = ops.sub(graph, x, x);
      const [result] = graph.node({
        op: "Loop",
        inputs: [count, undefined, zero],
        outputs: [{ type: "float32", shape: ["batch", 2] }],
        attributes: { body: { kind: "graph", value: body } },
      });
      return result ?? zero;
    });
    graph.output("y", after);
    const proto = model(graph);
    const [, loop] = pairBlocks("tower", proto.graph, proto.graph);
    expect(loop?.artifact.inputs.toSorted()).toEqual(["/embed/Relu/output_0", "x"]);
    expect(loop?.artifact.weights.map(({ name }) => name)).toContain("tower.weight");
    const one = floatTensor(Float32Array.of(1, 1), [1, 2]);
    if (loop === undefined) throw new Error("no block");
    const { y } = await runArtifactBlock(proto, loop.artifact, folder, {
      x: one,
      "/embed/Relu/output_0": one,
    });
    expect(y?.data).toEqual(Float32Array.of(6, 9));
  });

  test.each([
    [4, "int4"],
    [8, "int8"],
  ] as const)("MatMulNBits of %i bits is %s", (bits, precision) => {
    const graph = createGraph("g");
    const x = graph.input("x", "float32", ["batch", 32]);
    const bytes = (32 * bits) / 8;
    const packed = graph.external({ name: "w.q", type: "uint8", dims: [2, 1, bytes] });
    const scales = graph.external({ name: "w.scale", type: "float32", dims: [2] });
    const y = graph.within("layers.0", () =>
      ops.single(
        graph,
        "MatMulNBits",
        [x, packed, scales],
        "float32",
        ["batch", 2],
        { K: 32, N: 2, bits, block_size: 32 },
        "com.microsoft",
      ),
    );
    graph.output("y", y);
    const proto = model(graph);
    const [pair] = pairBlocks("tower", proto.graph, proto.graph);
    if (pair === undefined) throw new Error("no block");
    expect(precisionOf(pair.artifact)).toBe(precision);
  });
});

test("a mask's lowest float32 stays finite as float16", () => {
  const half = convertTensor(floatTensor(Float32Array.of(-3.4e38, 0.5), [2]), "float16");
  expect([...half.data]).toEqual([-65504, 0.5]);
  expect(() => convertTensor(half, "int64")).toThrow(/is int64 where the checkpoint's is float16/);
});
