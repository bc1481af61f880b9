import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { runGraph } from "../../../test/support/run-graph.ts";
import { type Blocks, blockSizes } from "../artifact/precision.ts";
import { createGraph } from "../onnx/graph.ts";
import { lookUpBlocks, matMulBlocks } from "../onnx/coded-products.ts";
import { floatTensor, idTensor } from "../tensor/tensor.ts";
import { type BlockCodes, blockShape, quantizeBlocks } from "./quantize-blocks.ts";

function quantize(values: Float32Array, columns: number, form: Blocks): BlockCodes {
  const rows = values.length / columns;
  const { blocks, blockBytes, zeroPointBytes } = blockShape(columns, form);
  const made = {
    codes: new Uint8Array(rows * blocks * blockBytes).fill(0xaa), // what stood there does not matter
    scales: new Float32Array(rows * blocks),
    zeroPoints: new Uint8Array(form.zero_points ? rows * zeroPointBytes : 0).fill(0xaa),
  };
  quantizeBlocks(values, columns, form, made);
  return made;
}

/** Straight from the contract of com.microsoft.MatMulNBits. */
function dequantize(made: BlockCodes, columns: number, form: Blocks) {
  const { bits, block } = form;
  const { blocks, blockBytes, zeroPointBytes } = blockShape(columns, form);
  const rows = made.scales.length / blocks;
  const read = (bytes: Uint8Array, start: number, at: number): number =>
    bits === 8
      ? (bytes[start + at] ?? NaN)
      : ((bytes[start + Math.floor(at / 2)] ?? NaN) >> (at % 2 === 0 ? 0 : 4)) & 15;
  return Array.from({ length: rows * columns }, (_, index) => {
    const [row, column] = [Math.floor(index / columns), index % columns];
    const at = Math.floor(column / block);
    const scale = made.scales[row * blocks + at] ?? NaN;
    const zero = form.zero_points
      ? read(made.zeroPoints, row * zeroPointBytes, at)
      : 2 ** (bits - 1);
    const code = read(made.codes, (row * blocks + at) * blockBytes, column % block);
    return { value: (code - zero) * scale, scale, code };
  });
}

const forms = fc.record({
  bits: fc.constantFrom<4 | 8>(4, 8),
  block: fc.constantFrom(...blockSizes),
  zero_points: fc.boolean(),
});
const matrices = fc
  .record({
    rows: fc.integer({ min: 1, max: 9 }),
    columns: fc.integer({ min: 1, max: 300 }),
    seed: fc.integer({ min: 1, max: 1e6 }),
    shift: fc.constantFrom(0, 0.3, -2),
  })
  .map(({ rows, columns, seed, shift }) => {
    let state = seed;
    const values = Float32Array.from({ length: rows * columns }, () => {
      state = (state * 48271) % 0x7fffffff;
      const uniform = state / 0x7fffffff - 0.5;
      return state % 11 === 0 ? 0 : uniform ** 3 + shift;
    });
    return { rows, columns, values };
  });

describe("block codes", () => {
  test("are within half a step of every number, unless they end there; zero stays zero", () => {
    fc.assert(
      fc.property(matrices, forms, ({ values, columns }, form) => {
        const top = 2 ** form.bits - 1;
        for (const [at, found] of dequantize(
          quantize(values, columns, form),
          columns,
          form,
        ).entries()) {
          const value = values[at] ?? NaN;
          const step = Math.abs(found.scale);
          if (value === 0) expect(Math.abs(found.value)).toBe(0);
          const cut = found.code === 0 || found.code === top;
          if (!cut) expect(Math.abs(found.value - value)).toBeLessThanOrEqual(step * 0.5000001);
        }
      }),
    );
  });

  test("lose no more than codes that reach exactly the largest number do", () => {
    fc.assert(
      fc.property(matrices, fc.boolean(), ({ values, columns }, zeroPoints) => {
        const form: Blocks = { bits: 4, block: 32, zero_points: zeroPoints };
        const found = dequantize(quantize(values, columns, form), columns, form);
        for (let start = 0; start < columns; start += form.block) {
          const span = [...values.keys()].slice(start, Math.min(start + form.block, columns));
          const numbers = span.map((at) => values[at] ?? NaN);
          const [low, high] = [Math.min(0, ...numbers), Math.max(0, ...numbers)];
          const step = zeroPoints ? (high - low) / 15 : (high > -low ? -high : -low) / 8;
          const zero = zeroPoints ? Math.round(-low / step) : 8;
          const squared = (values: readonly number[]) =>
            values.reduce((sum, value, at) => sum + (value - (numbers[at] ?? NaN)) ** 2, 0);
          const plain = numbers.map((value) => {
            const code = Math.max(0, Math.min(15, Math.round(value / step) + zero));
            return step === 0 ? 0 : (code - zero) * step;
          });
          const ours = squared(span.map((at) => found[at]?.value ?? NaN));
          expect(ours).toBeLessThanOrEqual(squared(plain) * 1.0001 + 1e-12);
        }
      }),
    );
  });

  test("give the runtime's MatMulNBits and GatherBlockQuantized the same matrix", async () => {
    await fc.assert(
      fc.asyncProperty(matrices, forms, async ({ rows, columns, values }, form) => {
        const made = quantize(values, columns, form);
        const expected = dequantize(made, columns, form);
        const { blocks, blockBytes, zeroPointBytes } = blockShape(columns, form);
        const graph = createGraph("blocks");
        const codes = { name: "codes", type: "uint8", dims: [rows, blocks, blockBytes] } as const;
        const matrix = {
          columns,
          bits: form.bits,
          block: form.block,
          codes: graph.external(codes),
          scales: graph.external({ name: "scales", type: "float32", dims: [rows, blocks] }),
          zeroPoints: form.zero_points
            ? graph.external({ name: "zeros", type: "uint8", dims: [rows, zeroPointBytes] })
            : undefined,
        };
        const asTable = graph.external({
          name: "codes as rows",
          type: "uint8",
          dims: [rows, blocks * blockBytes],
          bytesOf: "codes",
        });
        const x = graph.input("x", "float32", ["batch", "tokens", columns]);
        const ids = graph.input("ids", "int64", ["batch", "tokens"]);
        graph.output("product", matMulBlocks(graph, x, matrix));
        graph.output("rows", lookUpBlocks(graph, { ...matrix, codes: asTable }, ids));
        // Each row of the operand picks one column: nothing is lost in rounding it to 8 bits.
        const identity = Float32Array.from({ length: columns * columns }, (_, at) =>
          at % (columns + 1) === 0 ? 1 : 0,
        );
        const outputs = await runGraph(
          graph,
          new Map<string, ArrayBufferView>([
            ["codes", made.codes],
            ["scales", made.scales],
            ["zeros", made.zeroPoints],
          ]),
          {
            x: floatTensor(identity, [1, columns, columns]),
            ids: idTensor([Array.from({ length: rows }, (_, row) => row)]),
          },
        );
        expect(outputs["product"]?.dims).toEqual([1, columns, rows]);
        expect(outputs["rows"]?.dims).toEqual([1, rows, columns]);
        for (const [at, { value, scale }] of expected.entries()) {
          const [row, column] = [Math.floor(at / columns), at % columns];
          const near = Math.abs(scale) * 1e-3;
          const product = outputs["product"]?.data[column * rows + row] ?? NaN;
          expect(Math.abs(product - value)).toBeLessThanOrEqual(near);
          expect(Math.abs((outputs["rows"]?.data[at] ?? NaN) - value)).toBeLessThanOrEqual(near);
        }
      }),
      { numRuns: 60 },
    );
  });
});
