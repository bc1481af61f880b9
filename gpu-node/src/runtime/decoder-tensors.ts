// What the decoders of both families do with tensors: names of caches, prefixes of a batch, outputs by name.
import { AppError } from "@blip2-edge/shared/problem";
import type { Manifest } from "../artifact/manifest.ts";
import { type CacheType, cacheTypeOf } from "../artifact/precision.ts";
import type { PromptRow } from "../generate/decoder.ts";
import {
  type CacheTensor,
  type FloatTensor,
  floatTensor,
  type IntTensor,
  type Tensor,
} from "../tensor/tensor.ts";

type Outputs = Readonly<Record<string, Tensor>>;

/** past_key_values.{layer}.key and .value of every layer; `side` is "decoder" or "encoder" where there are two. */
export const cacheNames = (layers: number, side?: "decoder" | "encoder"): string[] =>
  Array.from({ length: layers }, (_, layer) => layer).flatMap((layer) =>
    ["key", "value"].map((which) =>
      ["past_key_values", layer, ...(side === undefined ? [] : [side]), which].join("."),
    ),
  );

/** Errors: `artifact_invalid` for a manifest that does not say how the decoder is stored. */
export function decoderCacheType({ precision }: Pick<Manifest, "precision">): CacheType {
  const { decoder } = precision.parts;
  if (decoder !== undefined) return cacheTypeOf(decoder);
  throw new AppError("artifact_invalid", "The manifest does not say how the decoder is stored.");
}

/** past_key_values.0.key -> fresh.0.key */
export const freshName = (past: string): string => past.replace("past_key_values", "fresh");
export const isFresh = (output: string): boolean => output.startsWith("fresh.");

/** Errors: `artifact_invalid` when the graph does not give it. */
export function output(outputs: Outputs, name: string): FloatTensor {
  const tensor = outputs[name];
  if (tensor?.type !== "float32") {
    throw new AppError("artifact_invalid", `A graph of the artifact lacks the output ${name}.`);
  }
  return tensor;
}

/** As `output`, for keys or values of the given type. */
export function cacheOutput(outputs: Outputs, name: string, type: CacheType): CacheTensor {
  const tensor = outputs[name];
  if ((tensor?.type === "float32" || tensor?.type === "float16") && tensor.type === type) {
    return tensor;
  }
  throw new AppError(
    "artifact_invalid",
    `A graph of the artifact does not give ${name} as ${type}.`,
  );
}

/** As `output`, for ids. */
export function idOutput(outputs: Outputs, name: string): IntTensor {
  const tensor = outputs[name];
  if (tensor?.type !== "int64") {
    throw new AppError("artifact_invalid", `A graph of the artifact lacks the output ${name}.`);
  }
  return tensor;
}

/** The image features of all rows: f32 [rows, prefixTokens, hidden]. */
export function prefixTensor(
  rows: readonly PromptRow[],
  prefixTokens: number,
  hidden: number,
): FloatTensor {
  const prefix = new Float32Array(rows.length * prefixTokens * hidden);
  rows.forEach((row, index) => prefix.set(row.prefix, index * prefixTokens * hidden));
  return floatTensor(prefix, [rows.length, prefixTokens, hidden]);
}
