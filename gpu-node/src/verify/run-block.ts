// Runs one block: the artifact's on the artifact's own data files, the checkpoint's on a data file with this
// block's float32 weights and no others, which is removed at once.
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Part } from "../build/tensor-plan.ts";
import { writeWeights } from "../build/write-weights.ts";
import type { Checkpoint } from "../checkpoint/open-checkpoint.ts";
import { layOutData } from "../onnx/external-data.ts";
import type { ModelProto, TensorProto } from "../onnx/model-proto.ts";
import { openPiece } from "../runtime/ort.ts";
import type { InnerTensor } from "../tensor/tensor.ts";
import { cutModel } from "./cut-model.ts";
import type { GraphBlock } from "./graph-blocks.ts";

/** By the names of a block's inputs or outputs. */
export type BlockTensors = Readonly<Record<string, InnerTensor>>;

/** Sessions of a moment: as many threads as the runtime likes, the provider that every machine has. */
const sessionOptions = { threads: 0, provider: "cpu" } as const;

async function runPiece(
  model: Uint8Array,
  dataFolder: string,
  inputs: BlockTensors,
): Promise<BlockTensors> {
  const session = await openPiece(model, dataFolder, sessionOptions);
  try {
    return await session.run(inputs);
  } finally {
    await session.release();
  }
}

export const runArtifactBlock = (
  model: ModelProto,
  block: GraphBlock,
  artifactFolder: string,
  inputs: BlockTensors,
): Promise<BlockTensors> => runPiece(cutModel(model, block, inputs), artifactFolder, inputs);

/** `folder` is for the block's data file. Errors: `checkpoint_invalid` for weights that are not finite. */
export async function runFloatBlock(
  source: { readonly checkpoint: Checkpoint; readonly part: Part; readonly model: ModelProto },
  block: GraphBlock,
  folder: string,
  inputs: BlockTensors,
  signal: AbortSignal,
): Promise<BlockTensors> {
  const names = new Set(block.weights.map(({ name }) => name));
  const weights = source.part.weights.filter(({ tensors }) =>
    tensors.some(({ name }) => names.has(name)),
  );
  const layout = layOutData(
    "block.data",
    weights.flatMap(({ tensors }) => tensors),
  );
  const place = (weight: TensorProto): TensorProto => {
    const { name, dims, dataType } = weight;
    const placement = layout.placements.get(name);
    if (placement === undefined) return weight; // a constant inside the model
    const { file, offset, bytes } = placement;
    const entries = { location: file, offset: String(offset), length: String(bytes) };
    return {
      name,
      dims,
      dataType,
      dataLocation: 1,
      externalData: Object.entries(entries).map(([key, value]) => ({ key, value })),
    };
  };
  const path = join(folder, layout.file);
  try {
    await writeWeights(source.checkpoint, weights, layout, path, { signal });
    return await runPiece(cutModel(source.model, block, inputs, place), folder, inputs);
  } finally {
    await rm(path, { force: true });
  }
}
