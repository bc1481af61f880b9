// One block of a graph -> a small model of its own, whose inputs and outputs are the values at the block's
// borders. Weights stay where they are, in external data.
import {
  encodeModel,
  type ModelProto,
  type TensorProto,
  type ValueInfoProto,
} from "../onnx/model-proto.ts";
import { elementTypes } from "../onnx/value.ts";
import type { InnerTensor } from "../tensor/tensor.ts";
import type { GraphBlock } from "./graph-blocks.ts";

/** Sizes stay open, so that the runtime treats the block as it does inside the whole graph. */
const openInfo = (name: string, { type, dims }: InnerTensor, at: number): ValueInfoProto => ({
  name,
  type: {
    tensorType: {
      elemType: elementTypes[type].code,
      shape: { dim: dims.map((_, axis) => ({ dimParam: `input ${at}, axis ${axis}` })) },
    },
  },
});

/**
 * The bytes of the model. `inputs` says of which types the block's inputs are; the types of the outputs are
 * left to the runtime. `place` moves a weight to another data file.
 */
export function cutModel(
  { irVersion, producerName, producerVersion, opsetImport }: ModelProto,
  { nodes, outputs, weights }: GraphBlock,
  inputs: Readonly<Record<string, InnerTensor>>,
  place: (weight: TensorProto) => TensorProto = (weight) => weight,
): Uint8Array {
  return encodeModel({
    irVersion,
    producerName,
    producerVersion,
    opsetImport,
    graph: {
      name: "block",
      node: [...nodes],
      initializer: weights.map(place),
      input: Object.entries(inputs).map(([name, tensor], at) => openInfo(name, tensor, at)),
      output: outputs.map((name) => ({ name })),
    },
  });
}
