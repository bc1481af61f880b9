import { AppError } from "@blip2-edge/shared/problem";
import { expect, test } from "vitest";
import { parsePreprocessor } from "./read-preprocessor.ts";

const expected = { imageSize: 224, queries: 32 };
const size = { height: 224, width: 224 };

test("values of preprocessor_config.json; what it omits is BlipImageProcessor's default", () => {
  const preprocessor = { size, image_mean: [0.1, 0.2, 0.3], image_processor_type: "x" };
  expect(parsePreprocessor({ preprocessor, processor: undefined }, expected)).toEqual({
    size: 224,
    rescaleFactor: 1 / 255,
    mean: [0.1, 0.2, 0.3],
    std: [0.26862954, 0.26130258, 0.27577711],
  });
});

test("values nested in processor_config.json win", () => {
  const files = {
    preprocessor: { size, rescale_factor: 1 },
    processor: { num_query_tokens: 32, image_processor: { size, rescale_factor: 0.5 } },
  };
  expect(parsePreprocessor(files, expected).rescaleFactor).toBe(0.5);
});

test("a size may be one number", () => {
  const files = { preprocessor: { size: 224 }, processor: { num_query_tokens: 32 } };
  expect(parsePreprocessor(files, expected).size).toBe(224);
});

test.each([
  [{ preprocessor: undefined, processor: {} }, /neither preprocessor_config\.json nor/],
  [
    { preprocessor: {}, processor: undefined },
    /size is 384 x 384.*image_size in config\.json is 224/,
  ],
  [{ preprocessor: { size, do_center_crop: true }, processor: undefined }, /do_center_crop/],
  [{ preprocessor: { size, do_normalize: false }, processor: undefined }, /do_normalize/],
  [{ preprocessor: { size, resample: 2 }, processor: undefined }, /resample: must be 3/],
  [{ preprocessor: { size, image_std: [1, 0, 1] }, processor: undefined }, /image_std/],
  [
    { preprocessor: { size }, processor: { num_query_tokens: 16 } },
    /num_query_tokens is 16 but config\.json says 32/,
  ],
])("refuses %j", (files, message) => {
  const parse = () => parsePreprocessor(files, expected);
  expect(parse).toThrow(AppError);
  expect(parse).toThrow(message);
});
