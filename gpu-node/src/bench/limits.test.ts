import { expect, test } from "vitest";
import { allowedTime, type Limits } from "./limits.ts";
import type { KernelName } from "./kernels.ts";
import type { KernelRate } from "./measure-kernel.ts";
import type { StageProduct } from "./stage-work.ts";

const rate = (kernel: KernelName, width: 4 | 8 | 32, rows: number, gflops: number): KernelRate => ({
  kernel,
  width,
  rows,
  k: 100,
  n: 200,
  seconds: (2 * rows * 100 * 200) / (gflops * 1e9),
  gflops,
  weightBytesPerSecond: 0,
});
const limits: Limits = {
  memoryReadBytesPerSecond: 1e9,
  kernels: [
    rate("fp32 MatMul", 32, 1, 2),
    rate("fp32 MatMul", 32, 64, 50),
    rate("8-bit MatMulNBits, block 128", 8, 1, 10),
    rate("8-bit QGemm", 8, 1, 4),
    rate("8-bit MatMulNBits, block 128", 8, 64, 100),
    rate("8-bit QGemm", 8, 64, 200),
  ],
};
const product = (kernel: KernelName, rows: number): StageProduct => ({
  name: "w",
  op: "MatMul",
  kernel,
  bytes: 0,
  k: 1000,
  n: 500,
  rows,
});
const none = { flops: 0, cacheBytes: 0 };

test("the best kernel of the width bounds a product, at the rows that are nearest", () => {
  const block = "8-bit MatMulNBits, block 128";
  const many = allowedTime({ products: [product(block, 64)], attention: none }, limits);
  expect(many.seconds).toBeCloseTo((2 * 64 * 1000 * 500) / 200e9, 9);
  expect(many.ownSeconds).toBeCloseTo((2 * 64 * 1000 * 500) / 100e9, 9);
  const one = allowedTime({ products: [product(block, 1)], attention: none }, limits);
  expect(one.seconds).toBeCloseTo((2 * 1000 * 500) / 10e9, 9);
  expect(one.ownSeconds).toBe(one.seconds);
});

test("another width bounds nothing", () => {
  const { seconds } = allowedTime(
    { products: [product("fp32 MatMul", 64)], attention: none },
    limits,
  );
  expect(seconds).toBeCloseTo((2 * 64 * 1000 * 500) / 50e9, 9);
});

test("attention is bound by the float kernel or by the memory that it reads", () => {
  const computed = allowedTime({ products: [], attention: { flops: 1e9, cacheBytes: 1 } }, limits);
  expect(computed.seconds).toBeCloseTo(1 / 50, 9);
  const read = allowedTime({ products: [], attention: { flops: 1, cacheBytes: 5e8 } }, limits);
  expect(read).toEqual({ seconds: 0.5, ownSeconds: 0.5 });
});

test("products add up", () => {
  const both = [product("fp32 MatMul", 64), product("8-bit QGemm", 64)];
  const each = both.map((one) => allowedTime({ products: [one], attention: none }, limits).seconds);
  expect(allowedTime({ products: both, attention: none }, limits).seconds).toBeCloseTo(
    each[0]! + each[1]!,
    9,
  );
});

test("a kernel that was not measured is a mistake of the caller", () => {
  const work = { products: [product("4-bit MatMulNBits, block 16", 1)], attention: none };
  expect(() => allowedTime(work, limits)).toThrow("4-bit MatMulNBits, block 16 was not measured");
});

test("weights that no cache holds are bound by memory too", () => {
  const block = "8-bit MatMulNBits, block 128";
  const heavy = (bytes: number) =>
    allowedTime({ products: [{ ...product(block, 1), bytes }], attention: none }, limits);
  expect(heavy(2e9)).toEqual({ seconds: 2, ownSeconds: 2 });
  expect(heavy(1e6).seconds).toBeCloseTo((2 * 1000 * 500) / 10e9, 9);
});
