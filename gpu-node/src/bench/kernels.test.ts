// Every kernel on a small shape gives the product that plain arithmetic gives with the numbers that stand in its
// weights: what is timed is the product and nothing else.
import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { describe, expect, test } from "vitest";
import { productGraph, activations, measureKernel } from "./measure-kernel.ts";
import { floatTensor } from "../tensor/tensor.ts";
import { weightBytes } from "./fill-weights.ts";
import { withGraph } from "./graph-session.ts";
import { activationStep, type KernelName, kernels, type MatrixShape } from "./kernels.ts";
import type { ExternalTensor, Graph } from "../onnx/graph.ts";

const kernelNames = Object.keys(kernels) as KernelName[];
const options = { threads: 1, provider: "cpu" } as const;
const rows = 3;
const shape: MatrixShape = { k: 256, n: 24 };

function bytesOf(tensor: ExternalTensor): Uint8Array<ArrayBuffer> {
  const pieces = [...weightBytes(tensor)];
  const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

/** The weight at (column of x, column of the product), read from the bytes that the runtime reads. */
function weightOf(graph: Graph, name: KernelName): (k: number, n: number) => number {
  const find = (suffix: string): ExternalTensor => {
    const tensor = graph.externals.get(`0.${suffix}`);
    if (tensor === undefined) throw new Error(`${name} has no ${suffix}`);
    return tensor;
  };
  const scales = (): Float32Array => new Float32Array(bytesOf(find("scales")).buffer);
  if (name === "fp32 MatMul") {
    const numbers = new Float32Array(bytesOf(find("weights")).buffer);
    return (k, n) => numbers[k * shape.n + n]!;
  }
  if (name === "fp16 MatMul") {
    const numbers = new Float16Array(bytesOf(find("weights")).buffer);
    return (k, n) => numbers[k * shape.n + n]!;
  }
  const found = /^(\d)-bit MatMulNBits, block (\d+)$/.exec(name);
  const codes = bytesOf(find("codes"));
  const steps = scales();
  if (found === null) {
    const signed = new Int8Array(codes.buffer);
    return name === "8-bit QGemm"
      ? (k, n) => signed[n * shape.k + k]! * steps[n]!
      : (k, n) => signed[k * shape.n + n]! * steps[n]!;
  }
  const [bits, block] = [Number(found[1]), Number(found[2])];
  const blocks = Math.ceil(shape.k / block);
  return (k, n) => {
    const at = n * blocks * block + k;
    const code = bits === 8 ? codes[at]! : (codes[at >> 1]! >> (4 * (at & 1))) & 15;
    return (code - 2 ** (bits - 1)) * steps[n * blocks + Math.floor(k / block)]!;
  };
}

describe.each(kernelNames)("%s", (name) => {
  test("gives the product", async () => {
    const graph = productGraph(name, shape);
    const x = activations(rows, shape.k);
    const { product } = await withGraph(graph, options, (session) =>
      session.run({ x: floatTensor(x, [rows, shape.k]) }),
    );
    expect(product?.dims).toEqual([rows, shape.n]);
    const weight = weightOf(graph, name);
    // Activations may be rounded to 8 bits: half a step of each at the size of the weights, and some for sums.
    const step = kernels[name].width === 32 ? 1e-5 : activationStep;
    for (let row = 0; row < rows; row += 1) {
      for (let n = 0; n < shape.n; n += 1) {
        let [sum, size] = [0, 0];
        for (let k = 0; k < shape.k; k += 1) {
          sum += x[row * shape.k + k]! * weight(k, n);
          size += weight(k, n) ** 2;
        }
        const error = Math.abs(Number(product?.data[row * shape.n + n]) - sum);
        expect(error).toBeLessThan(4 * step * Math.sqrt(size));
        expect(Math.abs(sum)).toBeLessThan(100 * Math.sqrt(size));
      }
    }
  });
});

test("no two weights are alike: the runtime would keep one packed copy of both, and a cache might hold it", () => {
  const all = ["0.codes", "1.codes", "0.scales", "1.scales"].map((name) =>
    bytesOf({ name, type: name.endsWith("codes") ? "uint8" : "float32", dims: [64, 64] }),
  );
  expect(new Set(all.map((bytes) => Buffer.from(bytes).toString("hex"))).size).toBe(all.length);
  expect(bytesOf({ name: "0.codes", type: "uint8", dims: [64, 64] })).toEqual(all[0]);
});

test("a measured rate is arithmetic over its own seconds", async () => {
  const signal = new AbortController().signal;
  const settings = { ...options, repeats: 1, signal, coldBytes: 1e5, maxFlops: 1e7 };
  const rate = await measureKernel("4-bit MatMulNBits, block 128", rows, shape, settings);
  expect(rate).toMatchObject({ width: 4, rows, ...shape });
  expect(rate.gflops * rate.seconds * 1e9).toBeCloseTo(2 * rows * shape.k * shape.n, 3);
  // Codes of 4 bits, a scale for each of two blocks.
  const bytes = (shape.k * shape.n) / 2 + 2 * shape.n * 4;
  expect(rate.weightBytesPerSecond * rate.seconds).toBeCloseTo(bytes, 3);
});

test("the weights are gone when the measurement is, also a failed one", async () => {
  const mine = async () =>
    (await readdir(tmpdir())).filter((name) => name.startsWith("blip2-bench-"));
  const before = new Set(await mine());
  const failing = withGraph(productGraph("fp32 MatMul", shape), options, () =>
    Promise.reject(new Error("no")),
  );
  await expect(failing).rejects.toThrow("no");
  // Another test file may measure meanwhile: only what is new and stays would be ours.
  await expect
    .poll(async () => (await mine()).filter((name) => !before.has(name)), { timeout: 10_000 })
    .toEqual([]);
});
