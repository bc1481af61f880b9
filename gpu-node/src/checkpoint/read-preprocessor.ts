// preprocessor_config.json or the nested values of processor_config.json -> how a picture becomes
// pixel values. What the canonical image cannot do (crop, pad, another filter) is refused by name.
import { AppError } from "@blip2-edge/shared/problem";
import { z } from "zod";
import type { ImageConfig } from "./config.ts";

const on = z.literal(true).default(true);
const off = z.literal(false).nullish();
const bicubic = 3;
const triple = z.tuple([z.number(), z.number(), z.number()]);
const side = z.int().min(1).max(4096);

/** Defaults of BlipImageProcessor; OpenAI's CLIP statistics. */
const preprocessorSchema = z.object({
  do_resize: on,
  do_rescale: on,
  do_normalize: on,
  do_convert_rgb: on,
  do_center_crop: off,
  do_pad: off,
  resample: z.literal(bicubic, { error: "must be 3 (bicubic)" }).default(bicubic),
  size: z
    .union([side, z.object({ height: side, width: side })])
    .transform((given) => (typeof given === "number" ? { height: given, width: given } : given))
    .default({ height: 384, width: 384 }),
  rescale_factor: z
    .number()
    .positive()
    .default(1 / 255),
  image_mean: triple.default([0.48145466, 0.4578275, 0.40821073]),
  image_std: triple
    .refine((std) => std.every((value) => value > 0), { error: "must be above zero" })
    .default([0.26862954, 0.26130258, 0.27577711]),
});

const processorSchema = z.object({
  image_processor: z.record(z.string(), z.unknown()).nullish(),
  num_query_tokens: z.int().nullish(),
});

/** The parsed files; undefined where one does not exist. */
export interface PreprocessorFiles {
  readonly preprocessor: unknown;
  readonly processor: unknown;
}

/**
 * The nested values of processor_config.json win, as in transformers 5 (image_processing_base.py).
 * Errors: `checkpoint_invalid` with every fault; `imageSize` and `queries` are those of config.json.
 */
export function parsePreprocessor(
  files: PreprocessorFiles,
  expected: { readonly imageSize: number; readonly queries: number },
): ImageConfig {
  const processor = processorSchema.safeParse(files.processor ?? {});
  if (!processor.success) {
    throw new AppError(
      "checkpoint_invalid",
      `processor_config.json: ${z.prettifyError(processor.error)}`,
    );
  }
  const nested = processor.data.image_processor ?? undefined;
  const source = nested ?? files.preprocessor;
  const file = nested === undefined ? "preprocessor_config.json" : "processor_config.json";
  if (source === undefined) {
    throw new AppError(
      "checkpoint_invalid",
      "There is neither preprocessor_config.json nor an image_processor in processor_config.json: how pictures are prepared is not known.",
    );
  }
  const parsed = preprocessorSchema.safeParse(source);
  if (!parsed.success) {
    const faults = parsed.error.issues.map(({ path, message }) => `${path.join(".")}: ${message}`);
    throw new AppError("checkpoint_invalid", `${file}: ${faults.join("; ")}.`);
  }
  const { size, rescale_factor: rescaleFactor, image_mean: mean, image_std: std } = parsed.data;
  const { imageSize, queries } = expected;
  if (size.height !== imageSize || size.width !== imageSize) {
    throw new AppError(
      "checkpoint_invalid",
      `${file}: size is ${size.height} x ${size.width} but vision_config.image_size in config.json is ${imageSize}.`,
    );
  }
  const declared = processor.data.num_query_tokens ?? queries;
  if (declared !== queries) {
    throw new AppError(
      "checkpoint_invalid",
      `processor_config.json: num_query_tokens is ${declared} but config.json says ${queries}.`,
    );
  }
  return { size: imageSize, rescaleFactor, mean, std };
}
