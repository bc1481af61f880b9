import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import goldens from "./golden/resample.json" with { type: "json" };
import { resampleRgb } from "./resample.ts";

fc.configureGlobal({ seed: 9421 });

interface Golden {
  readonly seed: number;
  readonly source: readonly number[];
  readonly target: readonly number[];
  readonly sha256: string;
  readonly base64?: string;
}

/** The generator that golden/make.py describes. */
function seededRgb(seed: number, width: number, height: number): Uint8Array {
  const bytes = new Uint8Array(width * height * 3);
  let state = seed;
  for (let index = 0; index < bytes.length; index++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[index] = state >>> 24;
  }
  return bytes;
}

function withAlpha(rgb: Uint8Array): Uint8ClampedArray {
  const rgba = new Uint8ClampedArray((rgb.length / 3) * 4);
  for (let pixel = 0; pixel < rgb.length / 3; pixel++) {
    rgba.set(rgb.subarray(pixel * 3, pixel * 3 + 3), pixel * 4);
    rgba[pixel * 4 + 3] = pixel * 37;
  }
  return rgba;
}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

describe("Pillow's answers, bit for bit", () => {
  for (const { seed, source, target, ...golden } of goldens.cases as Golden[]) {
    const [width = 0, height = 0] = source;
    const [targetWidth = 0, targetHeight = 0] = target;
    test(`${width} x ${height} to ${targetWidth} x ${targetHeight}`, () => {
      const rgb = seededRgb(seed, width, height);
      const output = resampleRgb(
        { data: rgb, width, height, channels: 3 },
        targetWidth,
        targetHeight,
      );
      if (golden.base64 !== undefined) {
        expect(Buffer.from(output).toString("base64")).toBe(golden.base64);
      }
      expect(sha256(output)).toBe(golden.sha256);
      const fromRgba = resampleRgb(
        { data: withAlpha(rgb), width, height, channels: 4 },
        targetWidth,
        targetHeight,
      );
      expect(sha256(fromRgba)).toBe(golden.sha256);
    });
  }
});

const side = fc.integer({ min: 1, max: 40 });

test("a picture of one colour keeps it at every size", () => {
  fc.assert(
    fc.property(
      side,
      fc.oneof(side, fc.integer({ min: 100, max: 5000 })),
      side,
      side,
      fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255)),
      (width, height, targetWidth, targetHeight, colour) => {
        const fill = (count: number) =>
          Uint8Array.from({ length: count * 3 }, (_, index) => colour[index % 3] ?? 0);
        const output = resampleRgb(
          { data: fill(width * height), width, height, channels: 3 },
          targetWidth,
          targetHeight,
        );
        expect(output).toEqual(fill(targetWidth * targetHeight));
      },
    ),
    { numRuns: 100 },
  );
});

test("the same size is a copy, and the source is not touched", () => {
  fc.assert(
    fc.property(side, side, fc.nat(), (width, height, seed) => {
      const data = seededRgb(seed, width, height);
      const before = data.slice();
      const output = resampleRgb({ data, width, height, channels: 3 }, width, height);
      expect(output).toEqual(before);
      expect(output.buffer).not.toBe(data.buffer);
      resampleRgb({ data, width, height, channels: 3 }, 7, 9);
      expect(data).toEqual(before);
    }),
    { numRuns: 50 },
  );
});

test("sizes that do not fit the bytes are refused", () => {
  const data = new Uint8Array(12);
  expect(() => resampleRgb({ data, width: 2, height: 3, channels: 3 }, 4, 4)).toThrow(RangeError);
  expect(() => resampleRgb({ data, width: 2, height: 2, channels: 3 }, 0, 4)).toThrow(RangeError);
  expect(() => resampleRgb({ data, width: 2, height: 2, channels: 3 }, 1.5, 4)).toThrow(RangeError);
});
