import fc from "fast-check";
import { expect, test } from "vitest";
import { externalBytes, layOutData } from "./external-data.ts";

test("tensors follow one another, aligned, without overlap, whatever their sizes", () => {
  const dims = fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 3 });
  fc.assert(
    fc.property(fc.array(dims, { maxLength: 20 }), (shapes) => {
      const tensors = shapes.map((shape, at) => ({
        name: `t${at}`,
        type: "float32" as const,
        dims: shape,
      }));
      const layout = layOutData("a.data", tensors);
      let end = 0;
      for (const tensor of tensors) {
        const placement = layout.placements.get(tensor.name) ?? { offset: NaN, bytes: NaN };
        expect(placement.bytes).toBe(externalBytes(tensor));
        expect(placement.offset).toBeGreaterThanOrEqual(end);
        expect(placement.offset % 64).toBe(0);
        if (placement.bytes >= 16384) expect(placement.offset % 4096).toBe(0);
        end = placement.offset + placement.bytes;
      }
      expect(layout.bytes).toBe(end);
      expect([...layout.placements.keys()]).toEqual(tensors.map(({ name }) => name));
    }),
  );
});
