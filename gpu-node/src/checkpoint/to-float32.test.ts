import { expect, test } from "vitest";
import { countNonFinite, toFloat32 } from "./to-float32.ts";

const widen = (bits: readonly number[], dtype: "F16" | "BF16"): number[] => {
  const target = new Float32Array(bits.length);
  toFloat32(new Uint8Array(Uint16Array.from(bits).buffer), dtype, target);
  return [...target];
};

test("half precision: signs, subnormals, the largest, infinities, NaN", () => {
  const bits = [0x3c00, 0xc000, 0x0001, 0x8000, 0x03ff, 0x7bff, 0x7c00, 0xfc00, 0x3555];
  expect(widen(bits, "F16")).toEqual([
    1,
    -2,
    2 ** -24,
    -0,
    1023 * 2 ** -24,
    65504,
    Infinity,
    -Infinity,
    0.333251953125,
  ]);
  expect(widen([0x7e00], "F16")).toEqual([NaN]);
});

test("every half agrees with the platform's own conversion", () => {
  const bits = Array.from({ length: 65536 }, (_, value) => value);
  const view = new DataView(new ArrayBuffer(2)) as DataView & {
    getFloat16(offset: number): number;
  };
  const wide = widen(bits, "F16");
  for (const value of bits) {
    view.setUint16(0, value);
    if (!Object.is(wide[value], view.getFloat16(0))) expect.fail(`bits ${value}`);
  }
});

test("bfloat16 is the upper half of a float32", () => {
  expect(widen([0x3f80, 0xc040, 0x7f80, 0x0001], "BF16")).toEqual([1, -3, Infinity, 2 ** -133]);
});

test("float32 stays as it is", () => {
  const values = Float32Array.of(1.1, -2.5, 3e38);
  const target = new Float32Array(3);
  toFloat32(new Uint8Array(values.buffer), "F32", target);
  expect(target).toEqual(values);
});

test("a length that does not fit is refused", () => {
  expect(() => toFloat32(new Uint8Array(6), "F16", new Float32Array(2))).toThrow(/6 bytes/);
});

test("NaN and both infinities are counted, the largest finite numbers are not", () => {
  const values = Float32Array.of(NaN, Infinity, -Infinity, 3.4028234663852886e38, -0, 1e-45);
  expect(countNonFinite(values)).toBe(3);
  expect(countNonFinite(values.subarray(3))).toBe(0);
});
