import { describe, expect, test } from "vitest";
import { createGraph } from "./graph.ts";
import * as ops from "./ops.ts";
import { addDims, broadcastShapes, type Shape } from "./value.ts";

const setUp = () => {
  const graph = createGraph("g");
  let count = 0;
  const value = (...shape: Shape) => graph.input(`x${(count += 1)}`, "float32", shape);
  return { graph, value };
};

describe("shapes", () => {
  test("broadcasting takes numbers, names and ones", () => {
    expect(broadcastShapes(["b", 1, 4], ["t", 1])).toEqual(["b", "t", 4]);
    expect(broadcastShapes([], [2, "n"])).toEqual([2, "n"]);
    expect(() => broadcastShapes([2, 3], [2, 4])).toThrow(/\[2, 3\] and \[2, 4\] do not broadcast/);
    expect(() => broadcastShapes(["a"], ["b"])).toThrow(/do not broadcast/);
  });

  test("sums of sizes", () => {
    expect(addDims(2, 3)).toBe(5);
    expect(addDims("past", "tokens")).toBe("past + tokens");
    expect(addDims(1, "n")).toBe("n + 1");
    expect(addDims("n", 0)).toBe("n");
  });
});

describe("inference", () => {
  test("products", () => {
    const { graph, value } = setUp();
    expect(ops.matMul(graph, value("b", "t", 4), value(4, 6)).shape).toEqual(["b", "t", 6]);
    const scores = ops.matMul(graph, value("b", 2, "q", 8), value("b", 2, 8, "k"));
    expect(scores.shape).toEqual(["b", 2, "q", "k"]);
    expect(ops.gemmTransposed(graph, value("b", 4), value(7, 4)).shape).toEqual(["b", 7]);
    expect(() => ops.matMul(graph, value(2, 3), value(4, 5))).toThrow(
      /MatMul: x.*\[2, 3\].*\[4, 5\]/,
    );
    expect(() => ops.gemmTransposed(graph, value("b", 4), value(7, 5))).toThrow(/Gemm/);
  });

  test("element by element", () => {
    const { graph, value } = setUp();
    const x = value("b", "t", 4);
    expect(ops.gelu(graph, x, "tanh").shape).toEqual(["b", "t", 4]);
    expect(ops.rmsNorm(graph, x, value(4), 1e-6).shape).toEqual(["b", "t", 4]);
    expect(() => ops.rmsNorm(graph, x, value(5), 1e-6)).toThrow(/do not broadcast/);
    const ids = graph.input("places", "int64", ["q", "k"]);
    expect(ops.clip(graph, ids, -8, 8)).toMatchObject({ type: "int64", shape: ["q", "k"] });
  });

  test("reshape copies named sizes in place, infers at most one that moved, checks the rest", () => {
    const { graph, value } = setUp();
    const target = (x: ReturnType<typeof value>, shape: Shape) => {
      expect(ops.reshape(graph, x, shape).shape).toEqual(shape);
      const node = graph.toProto(() => ({ file: "", offset: 0, bytes: 0 })).node.at(-1);
      return node?.input[1];
    };
    const x = value("b", "n", 12);
    expect(target(x, ["b", "n", 3, 4])).toBe("/constants/int64/4/[0, 0, 3, 4]");
    expect(target(x, ["b", 12, "n"])).toBe("/constants/int64/3/[0, 12, -1]");
    expect(() => ops.reshape(graph, x, ["b", "n", 3, 5])).toThrow(/Reshape: .* to \[b, n, 3, 5\]/);
    expect(() => ops.reshape(graph, x, ["b", "m", 12])).toThrow(/Reshape/);
    expect(() => ops.reshape(graph, x, ["n", "b", 12])).toThrow(/ambiguous/);
  });

  test("look-ups, slices, joins", () => {
    const { graph, value } = setUp();
    const ids = graph.input("ids", "int64", ["b", "t"]);
    expect(ops.lookUp(graph, value(50, 6), ids).shape).toEqual(["b", "t", 6]);
    expect(ops.pick(graph, value("b", "t", 6), 1, -1).shape).toEqual(["b", 6]);
    const joined = ops.concat(graph, [value("b", "p", 6), value("b", "t", 6)], 1);
    expect(joined.shape).toEqual(["b", "p + t", 6]);
    expect(ops.splitLast(graph, value("b", 9), 3).map(({ shape }) => shape)).toEqual([
      ["b", 3],
      ["b", 3],
      ["b", 3],
    ]);
    expect(ops.transpose(graph, value("b", 2, "t"), [0, 2, 1]).shape).toEqual(["b", "t", 2]);
    expect(ops.unsqueeze(graph, value("b", 4), [1, 2]).shape).toEqual(["b", 1, 1, 4]);
  });

  test("patches are floored when the picture is no multiple of them", () => {
    const { graph, value } = setUp();
    const patches = ops.patchConvolution(
      graph,
      value("b", 3, 60, 60),
      value(8, 3, 14, 14),
      value(8),
    );
    expect(patches.shape).toEqual(["b", 8, 4, 4]);
  });

  test("types must agree", () => {
    const { graph, value } = setUp();
    const ids = graph.input("ids", "int64", [2]);
    expect(() => ops.add(graph, value(2), ids)).toThrow(/Add: x1 float32 \[2\] and ids int64/);
    expect(ops.greater(graph, value(2), value(2)).type).toBe("bool");
  });
});
