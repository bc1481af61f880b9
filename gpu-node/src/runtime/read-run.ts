// What a run of either decoder graph gives, by the words of the contract.
import type { DecodeBatch, RunResult } from "../generate/decoder.ts";
import type { CacheType } from "../artifact/precision.ts";
import { giveBack } from "../tensor/give-back.ts";
import type { CacheTensor, Tensor } from "../tensor/tensor.ts";
import { cacheOutput, freshName, idOutput, isFresh, output } from "./decoder-tensors.ts";

export interface MadeRun extends RunResult {
  /** Of the last step: f32 [rows, vocab] flat. */
  readonly logits: Float32Array;
  /** Keys or values that the run added, by the name of the cache: [rows, heads, added, headDim]. */
  readonly fresh: (name: string) => CacheTensor;
  /** To be called when the keys and values were taken over: `fresh` is empty from then on. */
  readonly releaseFresh: () => void;
}

/** Errors: `artifact_invalid` for a graph that does not give them. */
export function readRun(outputs: Readonly<Record<string, Tensor>>, cache: CacheType): MadeRun {
  const ids = idOutput(outputs, "ids"); // [steps, rows]
  return {
    steps: ids.dims[0] ?? 0,
    ids: Array.from(ids.data, Number),
    logProbs: output(outputs, "log_probs").data,
    logits: output(outputs, "logits").data,
    fresh: (name) => cacheOutput(outputs, freshName(name), cache),
    releaseFresh() {
      for (const [name, { data }] of Object.entries(outputs)) if (isFresh(name)) giveBack(data);
    },
  };
}

type Run = (ids: readonly number[], steps: number, heldBack: readonly number[]) => Promise<MadeRun>;

/** What both decoders do with a run: as it is, or a single step for its scores. */
export const runAndStep = (run: Run): Pick<DecodeBatch, "run" | "step"> => ({
  run,
  async step(ids) {
    const { logits } = await run(
      ids,
      1,
      ids.map(() => 0),
    );
    return logits;
  },
});
