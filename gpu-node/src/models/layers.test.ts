import { describe, expect, test } from "vitest";
import { runGraph } from "../../../test/support/run-graph.ts";
import { toFloat32 } from "../checkpoint/to-float32.ts";
import { createGraph, type ExternalTensor, type Graph } from "../onnx/graph.ts";
import * as ops from "../onnx/ops.ts";
import type { Value } from "../onnx/value.ts";
import { toFloat16 } from "../quantize/to-float16.ts";
import { floatTensor } from "../tensor/tensor.ts";
import { linear } from "./layers.ts";
import type { StoredWeight, WeightUse } from "./weights.ts";

const [inputs, outputs] = [96, 5];
const kernel = Float32Array.from({ length: inputs * outputs }, (_, at) => Math.sin(at * 1.7) / 8);

/** Gives one half-precision matrix, [in, out]. */
function halfWeights(name: string, dims: readonly number[]): ExternalTensor;
function halfWeights(name: string, dims: readonly number[], use: WeightUse): StoredWeight;
function halfWeights(
  name: string,
  dims: readonly number[],
  use?: WeightUse,
): ExternalTensor | StoredWeight {
  if (use === undefined) return { name, type: "float32", dims };
  return { kind: "float", tensor: { name, type: "float16", dims: dims.toReversed() } };
}

/**
 * The layer's result, and what it rounds to half precision on the way. The CPU provider leaves that rounding
 * out, a GPU does not: so the operand itself is looked at.
 */
async function multiply(rows: readonly (readonly number[])[], wideRange: boolean) {
  const graph = createGraph("linear");
  const x = graph.input("x", "float32", ["rows", inputs]);
  const rounded: Value[] = [];
  const watched: Graph = {
    ...graph,
    node(spec) {
      const [operand] = spec.inputs;
      const half = spec.op === "Cast" && spec.outputs[0]?.type === "float16";
      if (half && operand !== undefined) rounded.push(operand);
      return graph.node(spec);
    },
  };
  const made = linear(watched, halfWeights, "wo", x, outputs, { bias: false, wideRange });
  expect(made.type).toBe("float32");
  graph.output("y", made);
  expect(rounded).toHaveLength(1);
  graph.output("operand", ops.mul(graph, rounded[0] ?? x, graph.constant("float32", [1], [])));
  const halves = new Uint16Array(kernel.length);
  toFloat16(kernel, halves);
  const feed = floatTensor(Float32Array.from(rows.flat()), [rows.length, inputs]);
  const { y, operand } = await runGraph(graph, new Map([["wo.weight", halves]]), { x: feed });
  if (y === undefined || operand === undefined) throw new Error("no outputs");
  return { y: y.data, operand: operand.data };
}

const row = (size: number): number[] =>
  Array.from({ length: inputs }, (_, at) => size * Math.cos(at * 0.9));
const exact = (x: readonly number[]): number[] =>
  Array.from({ length: outputs }, (_, to) =>
    x.reduce((sum, value, from) => sum + value * (kernel[from * outputs + to] ?? NaN), 0),
  );
/** Numbers as a half holds them. */
const throughHalf = (values: Float32Array): number[] => {
  const halves = new Uint16Array(values.length);
  toFloat16(values, halves);
  const wide = new Float32Array(values.length);
  toFloat32(new Uint8Array(halves.buffer), "F16", wide);
  return [...wide];
};

describe("a half-precision layer", () => {
  // What a T5 feeds its wo: up to hundreds of thousands, beyond the largest half.
  const rows = [row(1), row(3e5), row(0), row(1e-5), row(2e7)];

  test("with a wide range holds rows that no half can, beside small ones", async () => {
    const { y, operand } = await multiply(rows, true);
    for (const [at, x] of rows.entries()) {
      const scale = Math.max(...x.map(Math.abs), 1e-30);
      const held = throughHalf(operand.subarray(at * inputs, (at + 1) * inputs));
      for (const [to, want] of exact(x).entries()) {
        const got = y[at * outputs + to] ?? NaN;
        expect(Math.abs(got - want) / scale).toBeLessThan(4e-3);
        const inHalf = exact(held)[to] ?? NaN;
        expect(Math.abs(inHalf * scale - want) / scale).toBeLessThan(4e-3);
        expect(Math.abs(inHalf)).toBeLessThan(1000); // far from the end of the product's range
      }
    }
  });

  test("without it, loses them", async () => {
    const { operand } = await multiply(rows, false);
    const finite = rows.map((_, at) =>
      throughHalf(operand.subarray(at * inputs, (at + 1) * inputs)).every(Number.isFinite),
    );
    expect(finite).toEqual([true, false, true, true, false]);
  });
});
