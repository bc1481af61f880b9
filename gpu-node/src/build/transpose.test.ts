import fc from "fast-check";
import { expect, test } from "vitest";
import { transposePanel } from "./transpose.ts";

test("every number goes to its mirrored place, for sizes around the block size", () => {
  const size = fc.integer({ min: 1, max: 70 });
  fc.assert(
    fc.property(size, size, (rows, columns) => {
      const source = Float32Array.from({ length: rows * columns }, (_, at) => at);
      const target = new Float32Array(rows * columns);
      transposePanel(source, target, rows, columns);
      for (let row = 0; row < rows; row += 1) {
        for (let column = 0; column < columns; column += 1) {
          if (target[column * rows + row] !== row * columns + column) {
            expect.fail(`[${row}, ${column}]`);
          }
        }
      }
    }),
  );
});
