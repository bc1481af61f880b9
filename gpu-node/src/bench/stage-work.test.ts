import { expect, test } from "vitest";
import { publishedShapes } from "../../../infra/lab/published-shapes.ts";
import { shapeGraphs } from "../../../test/support/published-graphs.ts";
import { tinyConfig, tinyT5Config } from "../../../test/support/tiny-checkpoint.ts";
import { modelWork, stageFlops, stageWeightBytes, stageWork } from "./stage-work.ts";

const work = (
  config: Readonly<Record<string, unknown>>,
  tiedHead = true,
  precision: "fp32" | "fp16" | "int8" | "int4" = "fp32",
) => {
  const { shape, graphs } = shapeGraphs(config, tiedHead, precision);
  return modelWork(shape, graphs);
};
const size = { batch: 1, textTokens: 1, made: 0 };

test("the smallest OPT, computed by hand", () => {
  const tiny = work(tinyConfig);
  // 4 patches of 48 numbers and a class token, hidden 10, intermediate 14, one layer.
  const vision = stageWork(tiny, "vision", size);
  const visionProducts = 4 * 48 * 10 + 5 * (10 * 30 + 10 * 10 + 2 * 10 * 14);
  expect(vision.attention).toEqual({ flops: 4 * 5 * 5 * 10, cacheBytes: 0 });
  expect(stageFlops(vision)).toBe(2 * visionProducts + 1000);
  // The convolution reads its bias with it.
  expect(stageWeightBytes(vision)).toBe(4 * (48 * 10 + 10 + 10 * 30 + 10 * 10 + 2 * 10 * 14));
  // 3 queries, hidden 6, intermediate 9, two layers of which the first looks at 5 tokens of 10.
  const qformer = stageWork(tiny, "qformer", size);
  const layer = 3 * (4 * 6 * 6 + 2 * 6 * 9);
  const cross = 3 * (2 * 6 * 6) + 5 * (2 * 10 * 6);
  expect(qformer.attention.flops).toBe(4 * (2 * 3 * 3 * 6 + 3 * 5 * 6));
  expect(stageFlops(qformer)).toBe(2 * (2 * layer + cross + 3 * 6 * 12) + 792);
  // 3 image tokens and the start token, hidden 12, ffn 20, two layers, 13 words scored at one position.
  const decoder = 2 * (4 * 12 * 12 + 2 * 12 * 20);
  const prefill = stageWork(tiny, "prefill", size);
  expect(prefill.attention.flops).toBe(4 * 2 * (1 + 2 + 3 + 4) * 12);
  expect(stageFlops(prefill)).toBe(2 * (4 * decoder + 12 * 13) + 960);
  // Three sequences, each with two tokens made before the step.
  const decode = stageWork(tiny, "decode", { ...size, batch: 3, made: 2 });
  expect(decode.attention).toEqual({ flops: 4 * 2 * 18 * 12, cacheBytes: 2 * 2 * 18 * 12 * 4 });
  expect(stageFlops(decode)).toBe(2 * 3 * (decoder + 12 * 13) + 1728);
  expect(stageWeightBytes(decode)).toBe(4 * (decoder + 12 * 13));
});

test("the smallest T5, computed by hand", () => {
  const text = { ...tinyT5Config.text_config, num_decoder_layers: 1 };
  const tiny = work({ ...tinyT5Config, text_config: text }, false);
  const { decoder, qformer } = tiny.shape;
  const inner = decoder.heads * decoder.head_dim;
  const { d_model: hidden, d_ff: ffn, num_layers: below, num_decoder_layers: above } = text;
  const source = qformer.queries + 1;
  const attention = 4 * hidden * inner;
  const gated = 3 * hidden * ffn;
  const encoder = source * (below * (attention + gated) + above * 2 * hidden * inner);
  const step = above * (attention + 2 * hidden * inner + gated) + hidden * decoder.vocab;
  const prefill = stageWork(tiny, "prefill", size);
  expect(prefill.attention.flops).toBe(4 * inner * (below * source ** 2 + above * source));
  expect(stageFlops(prefill) - prefill.attention.flops).toBe(2 * (encoder + step));
  const decode = stageWork(tiny, "decode", { ...size, batch: 2 });
  expect(stageFlops(decode) - decode.attention.flops).toBe(2 * 2 * step);
});

test("twice the batch is twice the work and the same weights", () => {
  const tiny = work(tinyConfig);
  for (const stage of ["vision", "qformer", "prefill", "decode"] as const) {
    const [one, two] = [1, 2].map((batch) => stageWork(tiny, stage, { ...size, batch }));
    expect(stageFlops(two!)).toBe(2 * stageFlops(one!));
    expect(stageWeightBytes(two!)).toBe(stageWeightBytes(one!));
  }
});

test("the published shape's totals", () => {
  const model = work(publishedShapes["blip2-opt-2.7b"].config);
  const numbers = (part: string) =>
    (model.products[part] ?? []).reduce((sum, { k, n }) => sum + k * n, 0);
  // The published count of the tower without its vectors: biases and norms of 39 blocks, class token, positions,
  // the convolution's bias, the last norm.
  const vectors = 39 * (4224 + 1408 + 6144 + 1408 + 4 * 1408) + 1408 + 257 * 1408 + 1408 + 2816;
  expect(numbers("vision")).toBe(985_952_256 - vectors);
  expect(numbers("decoder")).toBe(32 * 12 * 2560 ** 2 + 50_304 * 2560);
  // 0.52 TFLOP for an image, 2 flops for each weight of the decoder and each of 33 positions.
  expect(stageFlops(stageWork(model, "vision", size)) / 1e12).toBeCloseTo(0.5207, 4);
  expect(stageFlops(stageWork(model, "prefill", size)) / 1e12).toBeCloseTo(0.1665, 3);
});

test.each([
  ["fp16", 2],
  ["int8", 1 + 4 / 128],
  ["int4", 0.5 + 4 / 128 + 0.5 / 128],
] as const)("at %s a decode step reads the bytes that the recipe stores", (precision, each) => {
  const model = work(publishedShapes["blip2-opt-2.7b"].config, true, precision);
  const { products } = stageWork(model, "decode", size);
  const inner = products.filter(({ n }) => n !== 50_304);
  const bytes = inner.reduce((sum, product) => sum + product.bytes, 0);
  expect(bytes / (32 * 12 * 2560 ** 2)).toBeCloseTo(each, 3);
  const kernels = new Set(inner.map(({ kernel }) => kernel));
  expect([...kernels]).toEqual([
    {
      fp16: "fp16 MatMul",
      int8: "8-bit MatMulNBits, block 128",
      int4: "4-bit MatMulNBits, block 128",
    }[precision],
  ]);
});
