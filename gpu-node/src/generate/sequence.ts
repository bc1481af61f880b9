// One sequence while it is being written: its ids, its processors, its log-probability so far.
import type { FinishReason, Generation } from "@blip2-edge/shared/contracts/generation";
import type { LogitsProcessor } from "./logits-processor.ts";
import { createLogitsProcessors } from "./logits-processors.ts";
import { finishReason } from "./stopping.ts";

export interface Sequence {
  /** Prompt ids (placeholders included) and generated ids. */
  readonly ids: readonly number[];
  /** The newest id, which the next step is fed. */
  readonly lastId: number;
  readonly processors: readonly LogitsProcessor[];
  /** Tokens that may still come. */
  readonly tokensLeft: number;
  /** Why it has ended; undefined while it goes on. */
  readonly finishReason: FinishReason | undefined;
  append(id: number, logProbability: number): void;
  /** Generated ids, end token included. */
  tokenIds(): number[];
  /** Mean log-probability per generated id. */
  meanLogProbability(): number;
}

/** `promptIds` holds at least one id. */
export function createSequence(
  promptIds: readonly number[],
  generation: Generation,
  endIds: readonly number[],
): Sequence {
  const ids = [...promptIds];
  let logProbabilitySum = 0;
  let reason: FinishReason | undefined;
  return {
    ids,
    get lastId() {
      return ids.at(-1) ?? -1;
    },
    processors: createLogitsProcessors(generation, promptIds.length, endIds),
    get tokensLeft() {
      return generation.max_new_tokens - (ids.length - promptIds.length);
    },
    get finishReason() {
      return reason;
    },
    append(id, logProbability) {
      ids.push(id);
      logProbabilitySum += logProbability;
      reason = finishReason(id, ids.length - promptIds.length, generation.max_new_tokens, endIds);
    },
    tokenIds: () => ids.slice(promptIds.length),
    meanLogProbability: () => logProbabilitySum / Math.max(1, ids.length - promptIds.length),
  };
}
