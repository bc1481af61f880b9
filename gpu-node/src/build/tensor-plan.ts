// Compares what the graphs ask for with what the checkpoint holds: every missing, misshapen, unusable and
// unknown tensor is found before a byte of data is read, and all are named.
import { AppError } from "@blip2-edge/shared/problem";
import type { Blip2Config } from "../checkpoint/config.ts";
import { quoteName, type TensorEntry } from "../checkpoint/safetensors-header.ts";
import { type FloatDtype, isFloatDtype } from "../checkpoint/to-float32.ts";
import type { ExternalTensor, Graph } from "../onnx/graph.ts";
import { blip2Graphs, type PartName } from "../models/graphs.ts";
import { lmHead, type Weights } from "../models/weights.ts";

/** An initializer and the stored tensor that it is made from. */
export interface WeightTensor extends ExternalTensor {
  readonly type: "float32";
  readonly source: TensorEntry & { readonly dtype: FloatDtype };
  /** Stored [out, in], written [in, out]. */
  readonly transposed: boolean;
}

export interface Part {
  readonly graph: Graph;
  /** In the order of the graph. */
  readonly weights: readonly WeightTensor[];
}
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
export function planTensors(config: Blip2Config, tensors: ReadonlyMap<string, TensorEntry>): Plan {
  const missing: string[] = [];
  const misshapen: string[] = [];
  const unusable: string[] = [];
  const claimed = new Set<string>();
  const weightsOf = new Map<PartName, Map<string, WeightTensor>>();

  const claim = (part: PartName): Weights => {
    const made = new Map<string, WeightTensor>();
    weightsOf.set(part, made);
    return (name, dims, layout = "as-stored") => {
      const transposed = layout === "transposed";
      const tensor: ExternalTensor = {
        name: transposed ? `${name}.transposed` : name,
        type: "float32",
        dims: transposed ? dims.toReversed() : dims,
      };
      const first = !claimed.has(name);
      claimed.add(name);
      const source = tensors.get(name);
      if (source === undefined) {
        if (first) missing.push(quoteName(name));
        return tensor;
      }
      const { shape, dtype } = source;
      if (shape.length !== dims.length || shape.some((size, axis) => size !== dims[axis])) {
        if (first) {
          misshapen.push(
            `${quoteName(name)} is [${shape.join(", ")}], config.json asks for [${dims.join(", ")}]`,
          );
        }
      } else if (!isFloatDtype(dtype)) {
        if (first) unusable.push(`${quoteName(name)} is ${dtype}`);
      } else {
        made.set(tensor.name, {
          ...tensor,
          type: "float32",
          source: { ...source, dtype },
          transposed,
        });
      }
      return tensor;
    };
  };

  const graphs = blip2Graphs(config, claim, !tensors.has(lmHead));
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
