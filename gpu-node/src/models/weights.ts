// How a model function asks for its weights. What it asks for, by name and shape, IS the tensor plan: the
// checkpoint is compared with it before a byte is read, so no second list of names exists.
import type { ExternalTensor } from "../onnx/graph.ts";

/**
 * `as-stored` keeps the checkpoint's order; `transposed` turns a linear layer's [out, in] into the
 * [in, out] that MatMul multiplies with. `dims` are the checkpoint's.
 */
export type WeightLayout = "as-stored" | "transposed";

export type Weights = (
  tensor: string,
  dims: readonly number[],
  layout?: WeightLayout,
) => ExternalTensor;

/** The language model's head in every family, where a checkpoint has one of its own. */
export const lmHead = "language_model.lm_head.weight";
