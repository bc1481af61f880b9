// How near a block must come to the checkpoint, by what the block is really made of.
import { elementTypes } from "../onnx/value.ts";
import type { NodeProto } from "../onnx/model-proto.ts";
import type { GraphBlock } from "./graph-blocks.ts";

export type Precision = "fp32" | "fp16" | "int8" | "int4";

export interface Floor {
  readonly cosine: number;
  readonly maxRelativeError?: number;
}

/**
 * fp32: the same operators on the same numbers; only the order of sums may differ, which is worth about
 *       1e-6. The cosine of a block hardly moves when one weight is wrong, its largest error does.
 * fp16: weights of 11 bits and activations rounded at every cast.
 * int8, int4: rounding of the weights in groups, and of the activations where a product takes them as int8.
 */
export const floors: Readonly<Record<Precision, Floor>> = {
  fp32: { cosine: 0.99999, maxRelativeError: 1e-3 },
  fp16: { cosine: 0.9999 },
  int8: { cosine: 0.999 },
  int4: { cosine: 0.99 },
};

const coarseness: readonly Precision[] = ["fp32", "fp16", "int8", "int4"];

/** What a node says of its own quantisation: the width of its weights, or a cast to float16. */
function precisionOfNode({ attribute, opType }: NodeProto): Precision {
  const number = (name: string): bigint | undefined =>
    attribute.find((each) => each.name === name)?.i;
  const bits = number("bits");
  if (bits !== undefined && bits <= 4n) return "int4";
  if (bits !== undefined) return "int8";
  if (opType === "DynamicQuantizeLinear") return "int8";
  const half = opType === "Cast" && number("to") === BigInt(elementTypes.float16.code);
  return half ? "fp16" : "fp32";
}

/** The coarsest number format in a block, read from its weights and nodes and not from the manifest. */
export function precisionOf({ nodes, weights }: GraphBlock): Precision {
  const codes = new Set(weights.map(({ dataType }) => dataType));
  const { uint8, int8, float16 } = elementTypes;
  const packed = codes.has(uint8.code) || codes.has(int8.code);
  const found = new Set<Precision>(nodes.map(precisionOfNode));
  // Bytes without a node that says how many bits a number has are one number each.
  if (packed && !found.has("int4")) found.add("int8");
  if (codes.has(float16.code)) found.add("fp16");
  return coarseness.findLast((precision) => found.has(precision)) ?? "fp32";
}

export const reachesFloor = (
  precision: Precision,
  figures: { readonly cosine: number; readonly relativeError: number },
): boolean => {
  const { cosine, maxRelativeError = Infinity } = floors[precision];
  return figures.cosine >= cosine && figures.relativeError <= maxRelativeError;
};
