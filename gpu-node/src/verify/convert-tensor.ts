// Values that cross from the float32 graph into an artifact's and back, in the type that each side has.
import { AppError } from "@blip2-edge/shared/problem";
import type { InnerTensor } from "../tensor/tensor.ts";

/** The largest finite float16. A mask's -3.4e38 becomes this low and not infinite, as a recipe would write it. */
const maxHalf = 65504;

/** Errors: `artifact_invalid` for two types that are not the same value in two precisions. */
export function convertTensor(tensor: InnerTensor, type: InnerTensor["type"]): InnerTensor {
  if (tensor.type === type) return tensor;
  const { dims } = tensor;
  if (tensor.type === "float32" && type === "float16") {
    const data = Float16Array.from(tensor.data, (value) =>
      Math.max(-maxHalf, Math.min(maxHalf, value)),
    );
    return { type, dims, data };
  }
  if (tensor.type === "float16" && type === "float32") {
    return { type, dims, data: Float32Array.from(tensor.data) };
  }
  throw new AppError(
    "artifact_invalid",
    `A value of the artifact is ${type} where the checkpoint's is ${tensor.type}. Build the artifact again.`,
  );
}
