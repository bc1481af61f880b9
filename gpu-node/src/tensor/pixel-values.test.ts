import { AppError } from "@blip2-edge/shared/problem";
import { describe, expect, test } from "vitest";
import { createPixelValues } from "./pixel-values.ts";

const clip = {
  rescale_factor: 0.00392156862745098,
  mean: [0.48145466, 0.4578275, 0.40821073] as const,
  std: [0.26862954, 0.26130258, 0.27577711] as const,
};

describe("createPixelValues", () => {
  test("is (byte / 255 - mean) / std, channels first, for every byte and channel", () => {
    const rgb = Uint8Array.from({ length: 16 * 16 * 3 }, (_, index) => Math.floor(index / 3));
    const values = createPixelValues({ size: 16, ...clip })(rgb);
    expect(values.dims).toEqual([1, 3, 16, 16]);
    let worst = 0;
    for (let channel = 0; channel < 3; channel += 1) {
      for (let byte = 0; byte < 256; byte += 1) {
        const exact = (byte / 255 - (clip.mean[channel] ?? 0)) / (clip.std[channel] ?? 1);
        worst = Math.max(worst, Math.abs((values.data[channel * 256 + byte] ?? NaN) - exact));
      }
    }
    expect(worst).toBeLessThan(1e-6);
  });

  test("keeps rows, columns and channels apart", () => {
    const rgb = new Uint8Array(2 * 2 * 3);
    rgb[(1 * 2 + 0) * 3 + 2] = 255; // blue of row 1, column 0
    const plain = { rescale_factor: 1 / 255, mean: [0, 0, 0], std: [1, 1, 1] } as const;
    const { data } = createPixelValues({ size: 2, ...plain })(rgb);
    expect([...data]).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
  });

  test("refuses another number of bytes and says how many it takes", () => {
    const convert = createPixelValues({ size: 4, ...clip });
    expect(() => convert(new Uint8Array(47))).toThrow(AppError);
    expect(() => convert(new Uint8Array(47))).toThrow(/47 bytes.*4 x 4 x 3 = 48/);
  });
});
