// Compares what the graphs ask for with what the checkpoint holds: every missing, misshapen, unusable and
// unknown tensor is found before a byte of data is read, and all are named.
import { AppError } from "@blip2-edge/shared/problem";
import type { Blip2Config } from "../checkpoint/config.ts";
import { quoteName, type TensorEntry } from "../checkpoint/safetensors-header.ts";
import { type FloatDtype, isFloatDtype } from "../checkpoint/to-float32.ts";
import type { ExternalTensor, Graph } from "../onnx/graph.ts";
import { blip2Graphs, type PartName } from "../models/graphs.ts";
import { lmHead, type StoredWeight, type Weights, type WeightUse } from "../models/weights.ts";
import { type Blocks, cacheTypeOf, rotationOf } from "../artifact/precision.ts";
import { blockShape } from "../quantize/quantize-blocks.ts";
import { partStorage, type Recipe } from "../quantize/recipe.ts";

/** How a stored tensor is written. */
export type WrittenForm =
  | {
      readonly kind: "float";
      readonly type: "float32" | "float16";
      /** Stored [out, in], written [in, out]. */
      readonly transposed: boolean;
    }
  | ({ readonly kind: "blocks" } & Blocks)
  | {
      readonly kind: "rows";
      /** Columns that are rotated together; 1 for none. */
      readonly rotation: number;
    };

/** A stored tensor and the initializers that are made from it. */
export interface WeightTensor {
  readonly source: TensorEntry & { readonly dtype: FloatDtype };
  readonly form: WrittenForm;
  /** In the order of the file: one, or of block codes the codes, the scales and any zero points. */
  readonly tensors: readonly [ExternalTensor, ...ExternalTensor[]];
}

export interface Part {
  readonly graph: Graph;
  /** In the order of the graph. */
  readonly weights: readonly WeightTensor[];
}
/** Numbers of the checkpoint in these weights; a tied head counts once. */
export const parametersOf = (weights: readonly WeightTensor[]): number => {
  const sources = new Map(weights.map(({ source }) => [source.name, source]));
  return [...sources.values()].reduce(
    (sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1),
    0,
  );
};

/** In the order of a pass. */
export type Plan = ReadonlyMap<PartName, Part>;

/**
 * Keys of older files that no computation reads: buffers that transformers once saved. T5's is here
 * because shared tooling wrote it; see transformers' `_keys_to_ignore_on_load_unexpected`.
 */
const legacyKeys = [
  /(^|\.)embeddings\.position_ids$/,
  /EncDecAttention\.relative_attention_bias\.weight$/,
];
const isLegacy = (name: string): boolean => legacyKeys.some((pattern) => pattern.test(name));

type FloatType = "float32" | "float16";
const floatTypes = { fp32: "float32", fp16: "float16" } as const;

/** The initializer of a weight that stays a number, `.transposed` and `.float16` where it is. */
function floatTensor(
  name: string,
  dims: readonly number[],
  type: FloatType,
  transposed: boolean,
): ExternalTensor {
  const suffix = `${transposed ? ".transposed" : ""}${type === "float16" ? ".float16" : ""}`;
  return { name: `${name}${suffix}`, type, dims: transposed ? dims.toReversed() : dims };
}

/** The initializers of a matrix [rows, columns] in block codes. */
function blockTensors(name: string, dims: readonly number[], form: Blocks) {
  const [rows = 0, columns = 0] = dims;
  const { bits, block, zero_points: withZeroPoints } = form;
  const { blocks, blockBytes, zeroPointBytes } = blockShape(columns, form);
  const base = `${name}.int${bits}.${block}${withZeroPoints ? ".zeroed" : ""}`;
  const tensor = (
    what: string,
    type: "uint8" | "float32",
    ...shape: readonly number[]
  ): ExternalTensor => ({ name: `${base}.${what}`, type, dims: [rows, ...shape] });
  return {
    codes: tensor("codes", "uint8", blocks, blockBytes),
    scales: tensor("scales", "float32", blocks),
    ...(withZeroPoints ? { zeroPoints: tensor("zero_points", "uint8", zeroPointBytes) } : {}),
  };
}

/** The codes of a table: the same bytes without a border between blocks. */
const asRows = (codes: ExternalTensor): ExternalTensor => {
  const [rows = 0, blocks = 0, blockBytes = 0] = codes.dims;
  return {
    name: `${codes.name}.rows`,
    type: codes.type,
    dims: [rows, blocks * blockBytes],
    bytesOf: codes.name,
  };
};

const maxNamed = 100;
function list(title: string, faults: readonly string[]): string[] {
  if (faults.length === 0) return [];
  const shown = faults.slice(0, maxNamed).join(", ");
  const rest = faults.length > maxNamed ? ` and ${faults.length - maxNamed} more` : "";
  return [`${title} (${faults.length}): ${shown}${rest}`];
}

/**
 * Builds the graphs and ties every weight to its stored tensor. `tensors` are the checkpoint's with its
 * aliases resolved (aliases.ts): a head that is not among them is the token embedding.
 * Errors: `checkpoint_invalid` that lists every fault.
 */
export function planTensors(
  config: Blip2Config,
  tensors: ReadonlyMap<string, TensorEntry>,
  recipe: Recipe,
): Plan {
  const missing: string[] = [];
  const misshapen: string[] = [];
  const unusable: string[] = [];
  const claimed = new Set<string>();
  const weightsOf = new Map<PartName, Map<string, WeightTensor>>();

  /** The stored tensor, or undefined once its fault is noted. */
  const findSource = (name: string, dims: readonly number[]) => {
    const first = !claimed.has(name);
    claimed.add(name);
    const source = tensors.get(name);
    if (source === undefined) {
      if (first) missing.push(quoteName(name));
      return undefined;
    }
    const { shape, dtype } = source;
    if (shape.length !== dims.length || shape.some((size, axis) => size !== dims[axis])) {
      if (first) {
        misshapen.push(
          `${quoteName(name)} is [${shape.join(", ")}], config.json asks for [${dims.join(", ")}]`,
        );
      }
      return undefined;
    }
    if (isFloatDtype(dtype)) return { ...source, dtype };
    if (first) unusable.push(`${quoteName(name)} is ${dtype}`);
    return undefined;
  };

  const claim = (part: PartName): Weights => {
    const made = new Map<string, WeightTensor>();
    weightsOf.set(part, made);
    const storage = partStorage(recipe, part);
    const write = (
      name: string,
      dims: readonly number[],
      form: WrittenForm,
      written: readonly [ExternalTensor, ...ExternalTensor[]],
    ) => {
      const source = findSource(name, dims);
      if (source !== undefined) made.set(written[0].name, { source, form, tensors: written });
    };
    const writeFloat = (
      name: string,
      dims: readonly number[],
      type: FloatType,
      transposed: boolean,
    ): ExternalTensor => {
      const tensor = floatTensor(name, dims, type, transposed);
      write(name, dims, { kind: "float", type, transposed }, [tensor]);
      return tensor;
    };

    function weights(name: string, dims: readonly number[]): ExternalTensor;
    function weights(name: string, dims: readonly number[], use: WeightUse): StoredWeight;
    function weights(
      name: string,
      dims: readonly number[],
      use?: WeightUse,
    ): ExternalTensor | StoredWeight {
      if (use === undefined) return writeFloat(name, dims, "float32", false);
      const form = storage[({ matrix: "matrices", table: "tables", head: "head" } as const)[use]];
      if (typeof form === "string") {
        const tensor = writeFloat(name, dims, floatTypes[form], use === "matrix");
        return { kind: "float", tensor };
      }
      if ("rotation" in form) {
        const [rows = 0, columns = 0] = dims;
        const rotation = rotationOf(columns, form);
        const base = `${name}.int8.rows.${rotation}`;
        const codes: ExternalTensor = { name: `${base}.codes`, type: "int8", dims };
        const scales: ExternalTensor = { name: `${base}.scales`, type: "float32", dims: [rows] };
        write(name, dims, { kind: "rows", rotation }, [codes, scales]);
        return { kind: "rows", rotation, codes, scales };
      }
      const { codes, scales, zeroPoints } = blockTensors(name, dims, form);
      const rest = zeroPoints === undefined ? [scales] : [scales, zeroPoints];
      write(name, dims, { kind: "blocks", ...form }, [codes, ...rest]);
      return {
        kind: "blocks",
        bits: form.bits,
        block: form.block,
        codes: use === "table" ? asRows(codes) : codes,
        scales,
        ...(zeroPoints === undefined ? {} : { zeroPoints }),
      };
    }
    return weights;
  };

  const graphs = blip2Graphs(config, claim, {
    tiedHead: !tensors.has(lmHead),
    cache: cacheTypeOf(partStorage(recipe, "decoder")),
  });
  const unknown = [...tensors.keys()].filter((name) => !claimed.has(name) && !isLegacy(name));
  const faults = [
    ...list("missing tensors", missing),
    ...list("tensors of another shape", misshapen),
    ...list("tensors that are not F32, F16 or BF16", unusable),
    ...list("unknown tensors", unknown.map(quoteName)),
  ];
  if (faults.length > 0) {
    throw new AppError(
      "checkpoint_invalid",
      `The tensors do not fit config.json: ${faults.join("; ")}.`,
    );
  }
  return new Map(
    [...graphs].map(([part, graph]) => [
      part,
      { graph, weights: [...(weightsOf.get(part)?.values() ?? [])] },
    ]),
  );
}
