// One sequence while it is being written: its ids, its processors, its log-probability so far.
import type { FinishReason, Generation } from "@blip2-edge/shared/contracts/generation";
import { createLogitsProcessors, type LogitsProcessor } from "./logits-processors.ts";
import { finishReason } from "./stopping.ts";

export interface Sequence {
  /** Prompt ids (placeholders included) and generated ids. */
  readonly ids: readonly number[];
  readonly processors: readonly LogitsProcessor[];
  /** Takes the next id; says why the sequence ends with it, if it does. */
  append(id: number, logProbability: number): FinishReason | undefined;
  /** Generated ids, end token included. */
  tokenIds(): number[];
  /** Mean log-probability per generated id. */
  meanLogProbability(): number;
}

export function createSequence(
  promptIds: readonly number[],
  generation: Generation,
  endIds: readonly number[],
): Sequence {
  const ids = [...promptIds];
  let logProbabilitySum = 0;
  return {
    ids,
    processors: createLogitsProcessors(generation, promptIds.length, endIds),
    append(id, logProbability) {
      ids.push(id);
      logProbabilitySum += logProbability;
      return finishReason(id, ids.length - promptIds.length, generation.max_new_tokens, endIds);
    },
    tokenIds: () => ids.slice(promptIds.length),
    meanLogProbability: () => logProbabilitySum / Math.max(1, ids.length - promptIds.length),
  };
}
