import { expect, test } from "vitest";
import { testParity } from "../parity.ts";

for (const name of ["published", "sharded", "untied"]) {
  testParity(import.meta.dirname, name, (opened) => {
    test("pixel values are the reference's to 1e-6", () => {
      const { model, pixels, tensors } = opened();
      const { data } = model.pixelValues(pixels);
      const want = tensors.get("pixel_values")?.data ?? new Float32Array();
      expect(data.length).toBe(want.length);
      let worst = 0;
      for (const [at, value] of want.entries()) {
        worst = Math.max(worst, Math.abs((data[at] ?? NaN) - value));
      }
      expect(worst).toBeLessThanOrEqual(1e-6);
    });
  });
}
