// What a model takes on the device that runs it, computed from its shape and the builder's own plan: weights,
// and the keys and values of a batch. Buffers of the runtime are not in it.
import { planTensors } from "../../gpu-node/src/build/tensor-plan.ts";
import { externalBytes } from "../../gpu-node/src/onnx/external-data.ts";
import { builtInRecipe, type PrecisionName } from "../../gpu-node/src/quantize/recipe.ts";
import { fullConfig, tensorShapes } from "../support/tiny-checkpoint.ts";
import { publishedShapes } from "./published-shapes.ts";

/** Positions of a request: the image's, the text's, the new ones. */
const positions = { image: 32, text: 32, fresh: 30 } as const;
const floatBytes = 4;
const gigabyte = 1e9;

type Published = keyof typeof publishedShapes;

/** Bytes that PyTorch usually takes with the same model, in GB, as its users report them. */
const pytorch: Readonly<Record<Published, Readonly<Record<"fp16" | "int8" | "int4", number>>>> = {
  "opt-2.7b": { fp16: 8, int8: 5, int4: 3 },
  "opt-6.7b": { fp16: 16, int8: 9, int4: 5 },
  "flan-t5-xl": { fp16: 10, int8: 6, int4: 4 },
  "flan-t5-xxl": { fp16: 26, int8: 14, int4: 8 },
};

interface DeviceBytes {
  readonly model: string;
  readonly precision: string;
  readonly weights: number;
  /** Of weights and cache, by batch. */
  readonly batch1: number;
  readonly batch8: number;
  readonly pytorchGB: number;
}

function weightBytes(shape: Published, precision: PrecisionName): number {
  const { config, tiedHead } = publishedShapes[shape];
  const entries = [...tensorShapes(config, { tiedHead })].map(([name, dims]) => {
    const bytes = dims.reduce((product, size) => product * size, 2);
    return [
      name,
      { name, dtype: "F16" as const, shape: [...dims], file: "", offset: 0, bytes },
    ] as const;
  });
  const plan = planTensors(fullConfig(config), new Map(entries), builtInRecipe(precision));
  return [...plan.values()]
    .flatMap(({ weights }) => weights)
    .flatMap(({ tensors }) => tensors)
    .reduce((sum, tensor) => sum + externalBytes(tensor), 0);
}

function cacheBytes(shape: Published): number {
  const config = fullConfig(publishedShapes[shape].config);
  const { heads, headDim } = config.text;
  const perPosition = 2 * heads * headDim * floatBytes;
  const { image, text, fresh } = positions;
  switch (config.family) {
    case "opt":
      return config.text.layers * perPosition * (image + text + fresh);
    case "t5": // the encoder's keys and values, and the decoder's own
      return config.text.decoderLayers * perPosition * (image + text + fresh);
  }
}

export function deviceBytes(): DeviceBytes[] {
  return (Object.keys(publishedShapes) as Published[]).flatMap((model) =>
    (["fp16", "int8", "int4"] as const).map((precision) => {
      const weights = weightBytes(model, precision);
      const cache = cacheBytes(model);
      return {
        model,
        precision,
        weights,
        batch1: weights + cache,
        batch8: weights + 8 * cache,
        pytorchGB: pytorch[model][precision],
      };
    }),
  );
}

const gigabytes = (bytes: number): string => (bytes / gigabyte).toFixed(2);

export const deviceTable = (rows: readonly DeviceBytes[]): string[] => [
  "| model | precision | weights | batch 1 | batch 8 | PyTorch, usual |",
  "| --- | --- | --- | --- | --- | --- |",
  ...rows.map(
    ({ model, precision, weights, batch1, batch8, pytorchGB }) =>
      `| ${[model, precision, ...[weights, batch1, batch8].map((bytes) => `${gigabytes(bytes)} GB`), `${pytorchGB} GB`].join(" | ")} |`,
  ),
];
