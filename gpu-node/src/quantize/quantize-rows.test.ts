import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { runGraph } from "../../../test/support/run-graph.ts";
import { rotationOf } from "../artifact/precision.ts";
import { createGraph } from "../onnx/graph.ts";
import { matMulRows } from "../onnx/coded-products.ts";
import { floatTensor } from "../tensor/tensor.ts";
import { quantizeRows, rotate } from "./quantize-rows.ts";

const sizes = [1, 2, 4, 16, 32, 64] as const;
const numbers = (length: number) =>
  fc.array(fc.double({ min: -100, max: 100, noNaN: true }), {
    minLength: length,
    maxLength: length,
  });
const matrices = fc
  .record({
    rows: fc.integer({ min: 1, max: 5 }),
    groups: fc.integer({ min: 1, max: 3 }),
    rotation: fc.constantFrom(...sizes),
    operandRows: fc.integer({ min: 1, max: 4 }),
  })
  .chain(({ rows, groups, rotation, operandRows }) =>
    fc.record({
      rows: fc.constant(rows),
      columns: fc.constant(groups * rotation),
      rotation: fc.constant(rotation),
      operandRows: fc.constant(operandRows),
      weights: numbers(rows * groups * rotation),
      operand: numbers(operandRows * groups * rotation),
    }),
  );

const quantize = (weights: readonly number[], columns: number, rotation: number) => {
  const made = {
    codes: new Int8Array(weights.length),
    scales: new Float32Array(weights.length / columns),
  };
  quantizeRows(Float32Array.from(weights), columns, rotation, made);
  return made;
};

async function multiply(
  made: ReturnType<typeof quantize>,
  operand: readonly number[],
  shape: { readonly rows: number; readonly columns: number; readonly rotation: number },
): Promise<Float32Array> {
  const { rows, columns, rotation } = shape;
  const graph = createGraph("rows");
  const x = graph.input("x", "float32", ["batch", "tokens", columns]);
  const matrix = {
    rotation,
    codes: graph.external({ name: "codes", type: "int8", dims: [rows, columns] }),
    scales: graph.external({ name: "scales", type: "float32", dims: [rows] }),
  };
  graph.output("product", matMulRows(graph, x, matrix));
  const data = new Map<string, ArrayBufferView>(Object.entries(made));
  const dims = [1, operand.length / columns, columns];
  const { product } = await runGraph(graph, data, {
    x: floatTensor(Float32Array.from(operand), dims),
  });
  expect(product?.dims).toEqual([...dims.slice(0, 2), rows]);
  return product?.data ?? new Float32Array();
}

describe("rows of 8 bits", () => {
  test("a rotation keeps lengths and, taken twice, changes nothing", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...sizes),
        fc.infiniteStream(fc.double({ noNaN: true, min: -9, max: 9 })),
        (size, stream) => {
          const values = Float64Array.from(stream.take(3 * size));
          const before = values.slice();
          rotate(values, 0, values.length, size);
          const length = (of: Float64Array) => Math.hypot(...of);
          expect(length(values)).toBeCloseTo(length(before), 9);
          rotate(values, 0, values.length, size);
          for (const [at, value] of values.entries()) expect(value).toBeCloseTo(before[at]!, 9);
        },
      ),
    );
  });

  test("an outlier is spread over its group and no further", () => {
    const values = new Float64Array(128);
    values[70] = 64;
    rotate(values, 0, 128, 64);
    expect([...values.subarray(0, 64)].every((value) => value === 0)).toBe(true);
    expect([...values.subarray(64)].every((value) => Math.abs(value) === 8)).toBe(true);
  });

  test("columns are mixed in the largest power of two that divides them", () => {
    const form = { bits: 8, rotation: 64 } as const;
    expect([1408, 6144, 96, 12, 7].map((columns) => rotationOf(columns, form))).toEqual([
      64, 64, 32, 4, 1,
    ]);
  });

  test("no rotated weight is off by more than half a step of its row", () => {
    fc.assert(
      fc.property(matrices, ({ rows, columns, rotation, weights }) => {
        const { codes, scales } = quantize(weights, columns, rotation);
        for (let row = 0; row < rows; row += 1) {
          const values = Float64Array.from(
            weights.slice(row * columns, (row + 1) * columns),
            Math.fround,
          );
          rotate(values, 0, columns, rotation);
          const scale = scales[row]!;
          for (const [at, value] of values.entries()) {
            expect(Math.abs(codes[row * columns + at]! * scale - value)).toBeLessThanOrEqual(
              0.5001 * scale + 1e-30,
            );
          }
        }
      }),
    );
  });

  test("the runtime's product is that of the rounded operands, row by row", async () => {
    await fc.assert(
      fc.asyncProperty(
        matrices,
        async ({ rows, columns, rotation, weights, operand, operandRows }) => {
          const made = quantize(weights, columns, rotation);
          const product = await multiply(made, operand, { rows, columns, rotation });
          for (let at = 0; at < operandRows; at += 1) {
            const mine = operand.slice(at * columns, (at + 1) * columns).map(Math.fround);
            const norm = Math.hypot(...mine);
            for (let row = 0; row < rows; row += 1) {
              const theirs = weights.slice(row * columns, (row + 1) * columns).map(Math.fround);
              const exact = theirs.reduce((sum, weight, column) => sum + weight * mine[column]!, 0);
              const weightNorm = Math.hypot(...theirs);
              // Half a step of 127 for each number of either side; a row's reach is at most its length.
              const bound = (Math.sqrt(columns) / 127) * norm * weightNorm * 1.01 + 1e-6;
              expect(Math.abs(product[at * rows + row]! - exact)).toBeLessThanOrEqual(bound);
            }
            // Alone it gives what it gives among others.
            const alone = await multiply(made, mine, { rows, columns, rotation });
            expect(alone).toEqual(product.slice(at * rows, (at + 1) * rows));
          }
        },
      ),
      { numRuns: 25 },
    );
  });
});
