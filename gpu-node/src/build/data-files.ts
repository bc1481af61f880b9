// Which weights stand in which data file. Every part has one of its own, except that the modes of a retrieval
// model's Q-Former read one together: they are the same weights for the greater part, and stand there once.
import type { PartName } from "../models/graphs.ts";
import type { Plan, WeightTensor } from "./tensor-plan.ts";

const sharesFileOf: Partial<Record<PartName, PartName>> = { text: "qformer", itm: "qformer" };

export interface DataFile {
  readonly file: string;
  readonly parts: readonly PartName[];
  /** In the order of the graphs, each name once. */
  readonly weights: readonly WeightTensor[];
}

/** The files in the order of the plan. */
export function dataFiles(plan: Plan): readonly DataFile[] {
  const files = new Map<PartName, { parts: PartName[]; weights: Map<string, WeightTensor> }>();
  for (const [part, { weights }] of plan) {
    const home = sharesFileOf[part] ?? part;
    const file = files.get(home) ?? { parts: [], weights: new Map<string, WeightTensor>() };
    files.set(home, file);
    file.parts.push(part);
    for (const tensor of weights) {
      // One name is one way of storing one tensor, so the first is as good as the next.
      const [{ name }] = tensor.tensors;
      if (!file.weights.has(name)) file.weights.set(name, tensor);
    }
  }
  return [...files].map(([home, { parts, weights }]) => ({
    file: `${home}.data`,
    parts,
    weights: [...weights.values()],
  }));
}
