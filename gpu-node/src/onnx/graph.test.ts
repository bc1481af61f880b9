import { describe, expect, test } from "vitest";
import { createGraph, type Placement } from "./graph.ts";
import { encodeGraph } from "./model.ts";
import { decodeModel } from "./model-proto.ts";
import * as ops from "./ops.ts";

const nowhere = (): Placement => ({ file: "none.data", offset: 0, bytes: 0 });

describe("createGraph", () => {
  test("nodes are named by scope and op, counted where they repeat", () => {
    const graph = createGraph("g");
    const x = graph.input("x", "float32", ["batch", 4]);
    graph.within("layers.0", () => {
      ops.relu(graph, ops.relu(graph, x));
      graph.within("attn", () => ops.relu(graph, x));
    });
    ops.relu(graph, x);
    expect(graph.toProto(nowhere).node.map(({ name, output }) => [name, ...output])).toEqual([
      ["/layers.0/Relu", "/layers.0/Relu/output_0"],
      ["/layers.0/Relu_1", "/layers.0/Relu_1/output_0"],
      ["/layers.0/attn/Relu", "/layers.0/attn/Relu/output_0"],
      ["/Relu", "/Relu/output_0"],
    ]);
  });

  test("constants are named by their value and made once", () => {
    const graph = createGraph("g");
    const first = graph.constant("int64", [0, -1]);
    expect(graph.constant("int64", [0, -1])).toBe(first);
    expect(graph.constant("float32", [0, -1])).not.toBe(first);
    expect(graph.constant("int64", [5], [])).not.toBe(graph.constant("int64", [5]));
    expect(graph.toProto(nowhere).initializer).toHaveLength(4);
  });

  test("a weight used twice is one initializer, with its place in the data file", () => {
    const graph = createGraph("g");
    const weight = { name: "w", type: "float32", dims: [2, 3] } as const;
    expect(graph.external(weight)).toBe(graph.external(weight));
    const place = () => ({ file: "vision.data", offset: 2 ** 33, bytes: 24 });
    expect(graph.toProto(place).initializer).toEqual([
      {
        name: "w",
        dims: [2n, 3n],
        dataType: 1,
        dataLocation: 1,
        externalData: [
          { key: "location", value: "vision.data" },
          { key: "offset", value: "8589934592" },
          { key: "length", value: "24" },
        ],
      },
    ]);
  });

  test("an output's producer writes under its name and later nodes read that name", () => {
    const graph = createGraph("g");
    const x = graph.input("x", "float32", [2]);
    const y = ops.relu(graph, x);
    graph.output("y", y);
    graph.output("z", ops.relu(graph, y));
    const { node, output } = graph.toProto(nowhere);
    expect(node.map(({ input, output: made }) => [...input, ...made])).toEqual([
      ["x", "y"],
      ["y", "z"],
    ]);
    expect(output.map(({ name }) => name)).toEqual(["y", "z"]);
  });

  test("an input, a weight or an output given once more passes through Identity", () => {
    const graph = createGraph("g");
    const x = graph.input("x", "float32", [2]);
    const w = graph.external({ name: "w", type: "float32", dims: [2] });
    const y = ops.add(graph, x, w);
    graph.output("copy of x", x);
    graph.output("copy of w", w);
    graph.output("y", y);
    graph.output("y again", y);
    const { node } = graph.toProto(nowhere);
    const outputs = node.map(({ opType, output }) => [opType, ...output]);
    expect(outputs).toEqual([
      ["Add", "y"],
      ["Identity", "copy of x"],
      ["Identity", "copy of w"],
      ["Identity", "y again"],
    ]);
  });

  test("mistakes are refused: a foreign value, a name taken twice", () => {
    const graph = createGraph("g");
    const foreign = createGraph("other").input("x", "float32", [2]);
    expect(() => ops.relu(graph, foreign)).toThrow(/graph g: Relu uses x float32 \[2\] of another/);
    const x = graph.input("x", "float32", [2]);
    expect(() => graph.input("x", "float32", [2])).toThrow(/x exists already/);
    graph.output("y", ops.relu(graph, x));
    expect(() => graph.output("y", ops.relu(graph, x))).toThrow(/y exists already/);
  });

  test("a subgraph may use values, constants and weights of the graph around it, not the reverse", () => {
    const graph = createGraph("g");
    const x = graph.input("x", "float32", [2]);
    const condition = graph.input("c", "bool", []);
    const branch = (name: string, scale: number) => {
      const body = graph.subgraph(name);
      const scaled = ops.mul(body, x, body.constant("float32", [scale], []));
      body.output(`${name}_out`, scaled);
      return { body, scaled };
    };
    const { body: yes, scaled } = branch("yes", 2);
    const { body: no } = branch("no", 2);
    expect(() => ops.relu(graph, scaled)).toThrow(/another graph/);
    const [result] = graph.node({
      op: "If",
      inputs: [condition],
      outputs: [{ type: "float32", shape: [2] }],
      attributes: {
        then_branch: { kind: "graph", value: yes },
        else_branch: { kind: "graph", value: no },
      },
    });
    if (result === undefined) throw new Error("If has no output");
    graph.output("y", result);
    const model = decodeModel(encodeGraph(graph, nowhere));
    const branches = model.graph.node[0]?.attribute.map(({ g }) => g?.node[0]?.name);
    expect(branches).toEqual(["/yes/Mul", "/no/Mul"]);
    // One constant, held by the outer graph.
    expect(model.graph.initializer.map(({ name }) => name)).toEqual(["/constants/float32//[2]"]);
  });
});

describe("encodeGraph", () => {
  test("a model read back is what was written", () => {
    const graph = createGraph("main");
    const x = graph.input("x", "float32", ["batch", "past + tokens", 4]);
    const w = graph.external({ name: "w", type: "float32", dims: [4] });
    graph.output("y", ops.layerNorm(graph, x, w, w, 1e-6));
    const place = () => ({ file: "m.data", offset: 4096, bytes: 16 });
    const model = decodeModel(encodeGraph(graph, place));
    expect(model).toMatchObject({
      irVersion: 10n,
      opsetImport: [{ domain: "", version: 21n }],
      graph: {
        name: "main",
        input: [
          {
            name: "x",
            type: {
              tensorType: {
                elemType: 1,
                shape: {
                  dim: [{ dimParam: "batch" }, { dimParam: "past + tokens" }, { dimValue: 4n }],
                },
              },
            },
          },
        ],
      },
    });
    const [node] = model.graph.node;
    expect(node).toMatchObject({ opType: "LayerNormalization", input: ["x", "w", "w"] });
    const epsilon = node?.attribute.find(({ name }) => name === "epsilon");
    expect(epsilon).toMatchObject({ type: 1, f: Math.fround(1e-6) });
    expect(node?.attribute.find(({ name }) => name === "axis")).toMatchObject({ type: 2, i: -1n });
  });

  test("other operator domains are declared", () => {
    const graph = createGraph("main");
    const x = graph.input("x", "float32", [2]);
    graph.output("y", ops.single(graph, "FastGelu", [x], "float32", [2], {}, "com.microsoft"));
    expect(decodeModel(encodeGraph(graph, nowhere)).opsetImport).toMatchObject([
      { domain: "", version: 21n },
      { domain: "com.microsoft", version: 1n },
    ]);
  });
});
