// The graphs of a shape as a build would write them, without a weight: for arithmetic over shapes.
import { planTensors } from "../../gpu-node/src/build/tensor-plan.ts";
import { describeModel } from "../../gpu-node/src/build/describe-model.ts";
import { parseModelConfig } from "../../gpu-node/src/checkpoint/read-config.ts";
import type { GenerationConfig } from "../../gpu-node/src/checkpoint/config.ts";
import { externalBytes } from "../../gpu-node/src/onnx/external-data.ts";
import type { GraphProto } from "../../gpu-node/src/onnx/model-proto.ts";
import { builtInRecipe, type PrecisionName } from "../../gpu-node/src/quantize/recipe.ts";
import { tensorShapes } from "./tiny-checkpoint.ts";

export function shapeGraphs(
  config: Readonly<Record<string, unknown>>,
  tiedHead: boolean,
  precision: PrecisionName,
) {
  const tensors = new Map(
    [...tensorShapes(config, tiedHead)].map(([name, shape]) => [
      name,
      { name, dtype: "F32" as const, shape, file: "", offset: 0, bytes: 0 },
    ]),
  );
  const parsed = parseModelConfig(config);
  if (parsed.family === "retrieval") throw new Error("a model that writes nothing");
  const image = { size: 224, rescaleFactor: 1, mean: [0, 0, 0], std: [1, 1, 1] } as const;
  const full = {
    ...parsed,
    tokens: { ...parsed.tokens, image: parsed.tokens.image ?? 0 },
    image,
  } as GenerationConfig;
  const graphs: Record<string, GraphProto> = {};
  for (const [part, { graph }] of planTensors(full, tensors, builtInRecipe(precision))) {
    const place = (tensor: Parameters<typeof externalBytes>[0]) => ({
      file: "data",
      offset: 0,
      bytes: externalBytes(tensor),
    });
    graphs[part] = graph.toProto(place);
  }
  const described = describeModel(full);
  if (described.family === "retrieval") throw new Error("a model that writes nothing");
  return { shape: described, graphs };
}
