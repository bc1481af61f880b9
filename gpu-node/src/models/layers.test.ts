import ort from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { runGraph } from "../../../test/support/run-graph.ts";
import type { ExternalTensor } from "../onnx/graph.ts";
import { createGraph } from "../onnx/graph.ts";
import { toFloat16 } from "../quantize/to-float16.ts";
import { type FloatTensor, floatTensor, type Tensor } from "../tensor/tensor.ts";
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
 * The CPU provider optimises half-precision operands away; a GPU has them. Without optimisation the operand
 * really is rounded to half.
 */
async function runAsWritten(path: string, feeds: Readonly<Record<string, Tensor>>) {
  const x = feeds["x"] as FloatTensor;
  const session = await ort.InferenceSession.create(path, { graphOptimizationLevel: "disabled" });
  try {
    const { y } = await session.run({ x: new ort.Tensor("float32", x.data, x.dims) });
    return { y: floatTensor(y?.data as Float32Array, y?.dims ?? []) };
  } finally {
    await session.release();
  }
}

async function multiply(rows: readonly (readonly number[])[], wideRange: boolean) {
  const graph = createGraph("linear");
  const x = graph.input("x", "float32", ["rows", inputs]);
  const made = linear(graph, halfWeights, "wo", x, outputs, { bias: false, wideRange });
  expect(made.type).toBe("float32");
  graph.output("y", made);
  const halves = new Uint16Array(kernel.length);
  toFloat16(kernel, halves);
  const feed = floatTensor(Float32Array.from(rows.flat()), [rows.length, inputs]);
  const { y } = await runGraph(graph, new Map([["wo.weight", halves]]), { x: feed }, runAsWritten);
  return y?.data ?? new Float32Array();
}

const row = (size: number): number[] =>
  Array.from({ length: inputs }, (_, at) => size * Math.cos(at * 0.9));
const exact = (x: readonly number[]): number[] =>
  Array.from({ length: outputs }, (_, to) =>
    x.reduce((sum, value, from) => sum + value * (kernel[from * outputs + to] ?? NaN), 0),
  );

describe("a half-precision layer", () => {
  // What a T5 feeds its wo: up to hundreds of thousands, beyond the largest half.
  const rows = [row(1), row(3e5), row(0), row(1e-5), row(2e7)];

  test("with a wide range holds rows that no half can, beside small ones", async () => {
    const found = await multiply(rows, true);
    for (const [at, x] of rows.entries()) {
      const scale = Math.max(...x.map(Math.abs), 1e-30);
      for (const [to, want] of exact(x).entries()) {
        const got = found[at * outputs + to] ?? NaN;
        expect(Math.abs(got - want) / scale).toBeLessThan(4e-3);
      }
    }
  });

  test("without it, loses them", async () => {
    const found = await multiply(rows, false);
    const large = [...found.subarray(outputs, 2 * outputs)];
    expect(large.some((value) => !Number.isFinite(value))).toBe(true);
    expect([...found.subarray(0, outputs)].every(Number.isFinite)).toBe(true);
  });
});
