// One request on its way through the decode loop: which tokens its rows take, and when it is done. How
// they are chosen is the business of greedy, sampling or beam search; the loop knows only this.
import type { FinishReason } from "@blip2-edge/shared/contracts/generation";
import { AppError } from "@blip2-edge/shared/problem";
import type { LogitsProcessor } from "./logits-processor.ts";
import { argmax } from "./selection.ts";

/** A row of the next step. */
export interface Continuation {
  /** Index among the rows that `advance` was given: whose past this row goes on from. */
  readonly parent: number;
  readonly id: number;
}

export interface FoundSequence {
  /** Generated ids, end token included. */
  readonly tokenIds: readonly number[];
  readonly finishReason: FinishReason;
  /** Mean log-softmax of the raw logits at the chosen ids, end token included. */
  readonly logProb: number;
}

/** A request whose one row needs no scores from outside: its tokens are the most probable ones. */
export interface Unaided {
  /** What the next step is fed. */
  readonly lastId: number;
  /** Tokens that may still come. */
  readonly tokensLeft: number;
  /** Next tokens that may not be an end token. */
  readonly heldBack: number;
  /** Takes one more token; says whether the request goes on. */
  take(id: number, logProbability: number): boolean;
}

export interface Search {
  /** Set while the request's next tokens can be chosen where the model runs. */
  readonly unaided?: Unaided | undefined;
  /**
   * Takes raw logits, one row per continuation it last gave (the prompt's one row at first), and says how
   * to go on; nothing when it is done. Errors: `invalid_request` when the settings leave no token.
   */
  advance(logits: readonly Float32Array[]): readonly Continuation[];
  /** Generated so far and final, for who reads along; empty where that is known at the end only. */
  newestIds(): readonly number[];
  /** Once it is done: best first. */
  results(): readonly FoundSequence[];
}

/** Runs the processors over scores that they may write to. */
export function processScores(
  processors: readonly LogitsProcessor[],
  ids: readonly number[],
  scores: Float32Array,
): Float32Array {
  for (const process of processors) process(ids, scores);
  return scores;
}

/** Why nothing can be chosen: the settings' fault, unless the model's own logits are no numbers. */
export function nothingToChoose(logits: Float32Array): AppError {
  if (argmax(logits) < 0) {
    return new AppError("internal", "", { internal: "the model's logits are not numbers" });
  }
  return new AppError(
    "invalid_request",
    "No token is left to choose under these settings; lower no_repeat_ngram_size or min_new_tokens.",
  );
}
