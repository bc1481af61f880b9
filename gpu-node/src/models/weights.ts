// How a model function asks for its weights. What it asks for, by name and shape, IS the tensor plan: the
// checkpoint is compared with it before a byte is read, so no second list of names exists. How a weight is
// stored is decided behind this interface; layers.ts turns each way into nodes.
import type { ExternalTensor } from "../onnx/graph.ts";

/** A weight as the recipe stores it. */
export type StoredWeight =
  | {
      readonly kind: "float";
      /** float32 or float16. [in, out] for a matrix, else the checkpoint's order. */
      readonly tensor: ExternalTensor;
    }
  | {
      readonly kind: "blocks";
      readonly bits: 4 | 8;
      readonly block: number;
      /** u8 [out, blocks, blockBytes] for a matrix or head, [rows, blocks * blockBytes] for a table. */
      readonly codes: ExternalTensor;
      /** f32 [out, blocks] */
      readonly scales: ExternalTensor;
      /** u8 [out, bytes] */
      readonly zeroPoints?: ExternalTensor;
    }
  | {
      readonly kind: "rows";
      /** Columns that its rotation mixes; 1 for none. */
      readonly rotation: number;
      /** i8 [out, in] */
      readonly codes: ExternalTensor;
      /** f32 [out] */
      readonly scales: ExternalTensor;
    };

/** A linear layer's [out, in]; a table whose rows are looked up; a table that scores every row. */
export type WeightUse = "matrix" | "table" | "head";

/** `dims` are the checkpoint's. Without a use the tensor is float32 as it stands there. */
export interface Weights {
  (tensor: string, dims: readonly number[]): ExternalTensor;
  (tensor: string, dims: readonly number[], use: WeightUse): StoredWeight;
}

/** The language model's head in every family, where a checkpoint has one of its own. */
export const lmHead = "language_model.lm_head.weight";
