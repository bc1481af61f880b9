// Carries one picture and one prompt through the model block by block. A measured block is run twice on the
// same input, the checkpoint's in float32 and the artifact's own, and the checkpoint's output goes on, so that
// errors do not pile up; a block that is passed over is run by the artifact alone. One block's weights
// are in memory at a time.
import { readFile } from "node:fs/promises";
import { AppError } from "@blip2-edge/shared/problem";
import type { Artifact } from "../artifact/open-artifact.ts";
import type { Part, Plan } from "../build/tensor-plan.ts";
import type { Checkpoint } from "../checkpoint/open-checkpoint.ts";
import type { PartName } from "../models/graphs.ts";
import { encodeGraph } from "../onnx/model.ts";
import { decodeModel, type ModelProto } from "../onnx/model-proto.ts";
import { elementTypes } from "../onnx/value.ts";
import type { InnerTensor } from "../tensor/tensor.ts";
import { type BlockChoice, chooseBlocks } from "./choose-blocks.ts";
import { compareTensors, type Difference } from "./compare.ts";
import { convertTensor } from "./convert-tensor.ts";
import { type Precision, precisionOf, reachesFloor } from "./floors.ts";
import { type BlockPair, pairBlocks } from "./pair-blocks.ts";
import { type Pass, passInputs } from "./pass-inputs.ts";
import { runArtifactBlock, runFloatBlock } from "./run-block.ts";
import { unrollLoop } from "./unroll-loop.ts";

export interface BlockFigures extends Difference {
  readonly part: PartName;
  readonly block: string;
  readonly precision: Precision;
  /**
   * Cosine of what the block adds to its residual stream; in a deep model the stream itself hides a block
   * that adds nonsense. Undefined where there is no such stream.
   */
  readonly updateCosine: number | undefined;
  readonly passed: boolean;
}

export interface VerifyBlocksOptions {
  readonly artifact: Artifact;
  readonly checkpoint: Checkpoint;
  readonly plan: Plan;
  readonly pass: Pass;
  readonly choice: BlockChoice;
  /** For one block's float32 weights at a time. */
  readonly folder: string;
  readonly signal: AbortSignal;
  readonly onBlock: (figures: BlockFigures) => void;
}

/** The type of `name` in the artifact's graph, for the inputs of the whole graph. */
function inputType({ graph }: ModelProto, name: string): InnerTensor["type"] | undefined {
  const code = graph.input.find((input) => input.name === name)?.type?.tensorType.elemType;
  const types = ["float32", "int64", "float16", "bool"] as const;
  return types.find((type) => elementTypes[type].code === code);
}

const unrolled = (model: ModelProto): ModelProto => ({ ...model, graph: unrollLoop(model.graph) });

/** Without weights of its own a block can only do to both what it does to one. */
const holdsWeights = ({ float }: BlockPair): boolean =>
  float.weights.some(({ dataLocation }) => dataLocation === 1);

const isRepeated = (name: string): boolean => /\.\d+$/.test(name);

/** The worst of the block's outputs. */
function measure(
  pair: BlockPair,
  inputs: Iterable<InnerTensor>,
  float: ReadonlyMap<string, InnerTensor>,
  artifact: ReadonlyMap<string, InnerTensor>,
): Difference & { readonly updateCosine: number | undefined } {
  const streams = [...inputs].filter(({ type }) => type === "float32");
  let worst: Difference = { cosine: 1, maxAbsError: 0, relativeError: 0 };
  let updateCosine: number | undefined;
  for (const [mine, theirs] of pair.outputs) {
    const [want, got] = [float.get(theirs), artifact.get(mine)];
    if (want === undefined || got === undefined) throw new Error(`${mine} was not computed`);
    const dims = want.dims.join();
    if (got.dims.join() !== dims) {
      throw new AppError(
        "artifact_invalid",
        `The artifact's block "${pair.name}" gives a value of the shape [${got.dims.join()}], the checkpoint's [${dims}]. Build the artifact again.`,
      );
    }
    const found = compareTensors(want, got);
    worst = {
      cosine: Math.min(worst.cosine, found.cosine),
      maxAbsError: Math.max(worst.maxAbsError, found.maxAbsError),
      relativeError: Math.max(worst.relativeError, found.relativeError),
    };
    const stream = streams.find((input) => input.dims.join() === dims);
    if (stream !== undefined && isRepeated(pair.name)) {
      const { cosine } = compareTensors(want, got, stream);
      updateCosine = Math.min(updateCosine ?? 1, cosine);
    }
  }
  return { ...worst, updateCosine };
}

/** Gives the outputs of the part's graph, the checkpoint's where the last blocks were measured. */
async function verifyPart(
  part: PartName,
  planned: Part,
  options: VerifyBlocksOptions,
  outputOf: (part: PartName, name: string) => InnerTensor,
): Promise<ReadonlyMap<string, InnerTensor>> {
  const { artifact, checkpoint, choice, folder, signal } = options;
  const graphs: Partial<Record<PartName, { readonly file: string }>> = artifact.manifest.graphs;
  const { file = "" } = graphs[part] ?? {};
  const mine = unrolled(decodeModel(await readFile(artifact.path(file), { signal })));
  // Places are given block by block, later.
  const nowhere = () => ({ file: "", offset: 0, bytes: 0 });
  const theirs = unrolled(decodeModel(encodeGraph(planned.graph, nowhere)));
  const pairs = pairBlocks(part, theirs.graph, mine.graph);
  const chosen = chooseBlocks(
    pairs.map(({ name }) => name),
    choice,
  );

  const float = new Map<string, InnerTensor>();
  const own = new Map<string, InnerTensor>();
  const fed = passInputs(artifact.manifest, part, options.pass, outputOf);
  for (const [name, tensor] of Object.entries(fed)) {
    float.set(name, tensor);
    own.set(name, convertTensor(tensor, inputType(mine, name) ?? tensor.type));
  }
  const pick = (values: ReadonlyMap<string, InnerTensor>, names: readonly string[]) =>
    Object.fromEntries(
      names.map((name) => {
        const value = values.get(name);
        if (value === undefined) throw new Error(`${part}: ${name} was not computed`);
        return [name, value];
      }),
    );

  for (const pair of pairs) {
    signal.throwIfAborted();
    const measured = chosen.has(pair.name) && holdsWeights(pair);
    const inputs = measured ? pick(float, pair.float.inputs) : {};
    if (measured) {
      const source = { checkpoint, part: planned, model: theirs };
      const made = await runFloatBlock(source, pair.float, folder, inputs, signal);
      for (const [name, tensor] of Object.entries(made)) float.set(name, tensor);
    }
    const made = await runArtifactBlock(
      mine,
      pair.artifact,
      artifact.folder,
      pick(own, pair.artifact.inputs),
    );
    for (const [name, tensor] of Object.entries(made)) own.set(name, tensor);
    if (measured) {
      const figures = measure(pair, Object.values(inputs), float, own);
      const precision = precisionOf(pair.artifact);
      const passed = reachesFloor(precision, figures);
      options.onBlock({ part, block: pair.name, precision, passed, ...figures });
    }
    // The same values go on in both graphs.
    for (const [name, theirName] of pair.outputs) {
      const [value, reference] = [own.get(name), float.get(theirName)];
      if (value === undefined) throw new Error(`${part}: ${name} was not computed`);
      if (measured && reference !== undefined) own.set(name, convertTensor(reference, value.type));
      else
        float.set(
          theirName,
          convertTensor(value, value.type === "float16" ? "float32" : value.type),
        );
    }
  }
  return new Map(theirs.graph.output.map(({ name }) => [name, pick(float, [name])[name]!]));
}

/** Errors: `artifact_invalid` for graphs that are not made of the checkpoint's blocks. */
export async function verifyBlocks(options: VerifyBlocksOptions): Promise<void> {
  const made = new Map<PartName, ReadonlyMap<string, InnerTensor>>();
  for (const [part, planned] of options.plan) {
    const outputOf = (from: PartName, name: string): InnerTensor => {
      const tensor = made.get(from)?.get(name);
      if (tensor === undefined) throw new Error(`${from} gives no ${name}`);
      return tensor;
    };
    made.set(part, await verifyPart(part, planned, options, outputOf));
  }
}
