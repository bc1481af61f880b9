import { expect, test } from "vitest";
import { publishedShapes } from "../../../infra/lab/published-shapes.ts";
import { shapeGraphs } from "../../../test/support/published-graphs.ts";
import { standardKernels } from "./limiting-kernels.ts";
import { limitPoints } from "./measure-limits.ts";
import { modelWork } from "./stage-work.ts";

test("the published shape is measured at its own largest matrices", () => {
  const { config, tiedHead } = publishedShapes["blip2-opt-2.7b"];
  const { shape, graphs } = shapeGraphs(config, tiedHead, "int4");
  const sizes = { vision: [1, 8], qformer: [1], prefill: [1, 8], decode: [1, 8, 16] };
  const points = limitPoints(modelWork(shape, graphs), { sizes, textTokens: 1 });
  const shapes = points.map(({ rows, shape: { k, n } }) => `${rows}x${k}x${n}`);
  const expected = [
    ...["257x1408x6144", "257x6144x1408", "2056x1408x6144", "2056x6144x1408"],
    ...["32x768x3072", "32x3072x768"],
    ...["33x2560x10240", "33x10240x2560", "264x2560x10240", "264x10240x2560"],
    ...[1, 8, 16].flatMap((rows) => [`${rows}x2560x10240`, `${rows}x10240x2560`]),
  ];
  expect([...new Set(shapes)].sort()).toEqual(expected.sort());
  const at = (rows: number) =>
    new Set(points.filter((point) => point.rows === rows).map(({ kernel }) => kernel));
  // All standard ones where it counts; of the Q-Former those of its width, and its own.
  for (const rows of [257, 33, 1, 16])
    expect([...at(rows)]).toEqual(expect.arrayContaining([...standardKernels]));
  expect(at(32)).toContain("8-bit MatMulNBits, block 32");
  expect(at(32)).not.toContain("fp32 MatMul");
});

test("nothing is measured twice", () => {
  const { config, tiedHead } = publishedShapes["blip2-flan-t5-xl"];
  const { shape, graphs } = shapeGraphs(config, tiedHead, "fp16");
  const sizes = { vision: [1], qformer: [1], prefill: [1, 1], decode: [1, 1] };
  const points = limitPoints(modelWork(shape, graphs), { sizes, textTokens: 1 });
  const names = points.map((point) => JSON.stringify(point));
  expect(new Set(names).size).toBe(names.length);
});
