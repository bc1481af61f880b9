// What the decoders of both families do with tensors: names of caches, prefixes of a batch, outputs by name.
import { AppError } from "@blip2-edge/shared/problem";
import type { PromptRow } from "../generate/decoder.ts";
import { type FloatTensor, floatTensor, selectRows } from "../tensor/tensor.ts";

/** Tensors by the names of a graph's inputs; rows of all are in one order. */
export type Cache = Readonly<Record<string, FloatTensor>>;

/** past_key_values.{layer}.key and .value of every layer; `side` is "decoder" or "encoder" where there are two. */
export const cacheNames = (layers: number, side?: "decoder" | "encoder"): string[] =>
  Array.from({ length: layers }, (_, layer) => layer).flatMap((layer) =>
    ["key", "value"].map((which) =>
      ["past_key_values", layer, ...(side === undefined ? [] : [side]), which].join("."),
    ),
  );

/** past_key_values.0.key -> present.0.key */
export const presentName = (past: string): string => past.replace("past_key_values", "present");

/** A cache of no positions. */
export const emptyCache = (
  names: readonly string[],
  dims: { readonly rows: number; readonly heads: number; readonly headDim: number },
): Cache => {
  const empty = floatTensor(new Float32Array(0), [dims.rows, dims.heads, 0, dims.headDim]);
  return Object.fromEntries(names.map((name) => [name, empty]));
};

export const selectCacheRows = (cache: Cache, chosen: readonly number[]): Cache =>
  Object.fromEntries(
    Object.entries(cache).map(([name, tensor]) => [name, selectRows(tensor, chosen)]),
  );

/** Errors: `artifact_invalid` when the graph does not give it. */
export function output(outputs: Readonly<Record<string, FloatTensor>>, name: string): FloatTensor {
  const tensor = outputs[name];
  if (tensor === undefined) {
    throw new AppError("artifact_invalid", `A graph of the artifact lacks the output ${name}.`);
  }
  return tensor;
}

/** `outputOf` gives each name's output; a cache by the names of the inputs. */
export const readCache = (
  outputs: Readonly<Record<string, FloatTensor>>,
  names: readonly string[],
  outputOf: (name: string) => string = (name) => name,
): Cache => Object.fromEntries(names.map((name) => [name, output(outputs, outputOf(name))]));

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
