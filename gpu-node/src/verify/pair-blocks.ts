// The blocks of an artifact's graph beside those of the float32 graph of the same part. A recipe puts other
// operators inside a block (quantised products, casts), so nodes are never compared: scopes are, and the
// values that cross their borders.
import { AppError } from "@blip2-edge/shared/problem";
import type { GraphProto, NodeProto } from "../onnx/model-proto.ts";
import { findBorders, type GraphBlock, type Run, splitRuns } from "./graph-blocks.ts";

export interface BlockPair {
  readonly name: string;
  readonly float: GraphBlock;
  readonly artifact: GraphBlock;
  /** Outputs of the two that are the same value: the artifact's name -> the float graph's. */
  readonly outputs: ReadonlyMap<string, string>;
}

const refuse = (part: string, what: string): AppError =>
  new AppError(
    "artifact_invalid",
    `The ${part} graph of the artifact cannot be compared with the checkpoint's: ${what}. Build the artifact again.`,
  );

/** The artifact's nodes in the runs of the float graph; casts under no scope go with what follows them. */
function alignRuns(part: string, float: readonly Run[], artifact: readonly Run[]): NodeProto[][] {
  const aligned: NodeProto[][] = [];
  let loose: NodeProto[] = [];
  for (const { scope, nodes } of artifact) {
    const wanted = float[aligned.length];
    if (wanted !== undefined && scope === wanted.scope) {
      aligned.push([...loose, ...nodes]);
      loose = [];
    } else if (scope === "") {
      loose.push(...nodes);
    } else {
      throw refuse(part, `it has "${scope}" where "${wanted?.scope ?? "nothing"}" should be`);
    }
  }
  if (aligned.length < float.length) {
    throw refuse(part, `it has no "${float[aligned.length]?.scope}"`);
  }
  aligned.at(-1)?.push(...loose);
  return aligned;
}

/** vision_model.post_layernorm.weight -> post_layernorm */
const layerOf = (weight: string): string => {
  const names = weight.replace(/\.transposed$/, "").split(".");
  const last = names.at(-1) ?? "";
  return (["weight", "bias"].includes(last) ? names.at(-2) : last) ?? weight;
};

/** A block under no scope is called after the layers whose weights it reads. */
function nameOf(scope: string, { weights }: GraphBlock): string {
  if (scope !== "") return scope;
  const stored = weights.filter(({ dataLocation }) => dataLocation === 1);
  return [...new Set(stored.map(({ name }) => layerOf(name)))].join(" + ") || "no weights";
}

/** Values of the same name are the same; what is left over is paired in order if it is equally much. */
function pairOutputs(float: GraphBlock, artifact: GraphBlock): Map<string, string> {
  const pairs = new Map<string, string>();
  const [mine, theirs] = [new Set(artifact.outputs), new Set(float.outputs)];
  for (const name of artifact.outputs) if (theirs.has(name)) pairs.set(name, name);
  const rest = {
    artifact: artifact.outputs.filter((name) => !theirs.has(name)),
    float: float.outputs.filter((name) => !mine.has(name)),
  };
  if (rest.artifact.length === rest.float.length) {
    rest.artifact.forEach((name, at) => pairs.set(name, rest.float[at] ?? name));
  }
  return pairs;
}

/** Errors: `artifact_invalid` when the graphs are not made of the same blocks. */
export function pairBlocks(part: string, float: GraphProto, artifact: GraphProto): BlockPair[] {
  const runs = splitRuns(float);
  const floatBlocks = findBorders(
    float,
    runs.map(({ nodes }) => nodes),
  );
  const artifactBlocks = findBorders(artifact, alignRuns(part, runs, splitRuns(artifact)));
  return runs.map(({ scope }, at) => {
    const [block, counterpart] = [floatBlocks[at], artifactBlocks[at]];
    if (block === undefined || counterpart === undefined) throw new Error("a run without a block");
    const outputs = pairOutputs(block, counterpart);
    const name = nameOf(scope, block);
    if (outputs.size < block.outputs.length) {
      const [mine, theirs] = [counterpart.outputs.length, block.outputs.length];
      throw refuse(part, `"${name}" gives ${mine} values, the checkpoint's ${theirs}`);
    }
    return { name, float: block, artifact: counterpart, outputs };
  });
}
