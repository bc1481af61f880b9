import fc from "fast-check";
import { expect, test } from "vitest";
import { toFloat32 } from "../checkpoint/to-float32.ts";
import { toFloat16 } from "./to-float16.ts";

const narrow = (values: Float32Array): { bits: Uint16Array; overflows: number } => {
  const bits = new Uint16Array(values.length);
  return { overflows: toFloat16(values, bits), bits };
};
const bitsOf = (value: number): number => narrow(Float32Array.of(value)).bits[0] ?? NaN;

/** The platform's own conversion. */
const view = new DataView(new ArrayBuffer(4)) as DataView & {
  setFloat16(offset: number, value: number): void;
};
const platformBits = (value: number): number => {
  view.setFloat16(0, value);
  return view.getUint16(0);
};

test("every finite half comes back as itself", () => {
  const halves = Uint16Array.from({ length: 65536 }, (_, bits) => bits).filter(
    (bits) => (bits & 0x7c00) !== 0x7c00,
  );
  const wide = new Float32Array(halves.length);
  toFloat32(new Uint8Array(halves.buffer), "F16", wide);
  const { bits, overflows } = narrow(wide);
  expect(overflows).toBe(0);
  expect(bits).toEqual(halves);
});

test("every finite float32 becomes what the platform makes of it", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffffffff }), (bits) => {
      view.setUint32(0, bits);
      const value = view.getFloat32(0);
      if (Number.isFinite(value)) expect(bitsOf(value)).toBe(platformBits(value));
    }),
    { numRuns: 20_000 },
  );
});

test("halfway between two halves goes to the even one, a hair beyond to the nearer", () => {
  for (let half = 0; half < 0x7bff; half += 1) {
    const [low = 0, high = 0] = [half, half + 1].map((bits) => {
      const wide = new Float32Array(1);
      toFloat32(new Uint8Array(Uint16Array.of(bits).buffer), "F16", wide);
      return wide[0] ?? NaN;
    });
    const middle = (low + high) / 2; // exact in float32
    const hair = Math.max(2 ** -40, middle * 2 ** -22);
    const found = [middle, middle + hair, middle - hair].map(bitsOf);
    if (found[0] !== half + (half & 1)) expect.fail(`tie above ${half}: ${found[0]}`);
    if (found[1] !== half + 1 || found[2] !== half) expect.fail(`near ${half}: ${found.join()}`);
  }
});

test("the smallest, and what is too large", () => {
  expect(bitsOf(2 ** -24)).toBe(1);
  expect(bitsOf(2 ** -25)).toBe(0);
  expect(bitsOf(-(2 ** -25) * 1.0001)).toBe(0x8001);
  expect(bitsOf(-0)).toBe(0x8000);
  expect(narrow(Float32Array.of(65504, 65519.99, -65519.99))).toEqual({
    overflows: 0,
    bits: Uint16Array.of(0x7bff, 0x7bff, 0xfbff),
  });
  expect(narrow(Float32Array.of(65520, -1e30, 3.4e38, 1)).overflows).toBe(3);
});
