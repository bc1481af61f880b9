// What a model takes on a device, computed from its shape: every weight as its recipe stores it, and the caches of
// keys and values.
import { dataFiles } from "../../gpu-node/src/build/data-files.ts";
import { planTensors } from "../../gpu-node/src/build/tensor-plan.ts";
import type { Blip2Config } from "../../gpu-node/src/checkpoint/config.ts";
import { parseModelConfig } from "../../gpu-node/src/checkpoint/read-config.ts";
import { externalBytes } from "../../gpu-node/src/onnx/external-data.ts";
import { cacheTypeOf } from "../../gpu-node/src/artifact/precision.ts";
import {
  builtInRecipe,
  partStorage,
  type PrecisionName,
} from "../../gpu-node/src/quantize/recipe.ts";
import { tensorShapes } from "../../test/support/tiny-checkpoint.ts";
import type { PublishedShape } from "./published-shapes.ts";

/** The default request: a caption without a prompt. */
const textTokens = 1;
const newTokens = 20;

export interface DeviceBytes {
  readonly weights: number;
  readonly largestTensor: number;
  cache(batch: number): number;
}

export function deviceBytes(
  { config, tiedHead }: PublishedShape,
  precision: PrecisionName,
): DeviceBytes {
  const tensors = new Map(
    [...tensorShapes(config, tiedHead)].map(([name, shape]) => [
      name,
      {
        name,
        dtype: "F16" as const,
        shape,
        file: "",
        offset: 0,
        bytes: shape.reduce((product, size) => product * size, 2),
      },
    ]),
  );
  const full = withImage(parseModelConfig(config));
  const recipe = builtInRecipe(precision);
  const plan = planTensors(full, tensors, recipe);
  const numberBytes = cacheTypeOf(partStorage(recipe, "decoder")) === "float32" ? 4 : 2;
  const written = dataFiles(plan).flatMap(({ weights }) => weights.flatMap((each) => each.tensors));
  return {
    weights: written.reduce((sum, tensor) => sum + externalBytes(tensor), 0),
    largestTensor: Math.max(...[...tensors.values()].map(({ bytes }) => bytes)),
    cache: (batch) => batch * numberBytes * cacheNumbers(full),
  };
}

function withImage(model: ReturnType<typeof parseModelConfig>): Blip2Config {
  const image = { size: 224, rescaleFactor: 1, mean: [0, 0, 0], std: [1, 1, 1] } as const;
  switch (model.family) {
    case "retrieval":
      return { ...model, image };
    case "opt":
      return { ...model, tokens: { ...model.tokens, image: model.tokens.image ?? 0 }, image };
    case "t5":
      return { ...model, tokens: { ...model.tokens, image: model.tokens.image ?? 0 }, image };
  }
}

/** Keys and values of one sequence. */
function cacheNumbers(config: Blip2Config): number {
  if (config.family === "retrieval") return 0;
  const { heads, headDim } = config.text;
  const layers = config.family === "opt" ? config.text.layers : config.text.decoderLayers;
  const source = config.qformer.queries + textTokens;
  // OPT keeps source and generated tokens in one cache, T5 in two: the sum is the same.
  return layers * 2 * heads * headDim * (source + newTokens);
}
