// How the next token is chosen from processed scores (greedy: the first of the highest; sampling: drawn by
// its probability), and how probable the model itself held it.
import type { Random } from "./random.ts";

/** Chooses a token of one row; -1 when no score is above -Infinity. */
export type Selection = (scores: Float32Array) => number;

/** The first index of the highest score; -1 when none is above -Infinity (NaN never is). */
export const argmax: Selection = (scores) => {
  let best = -1;
  let bestScore = -Infinity;
  for (let id = 0; id < scores.length; id += 1) {
    const score = scores[id]!;
    if (score > bestScore) {
      bestScore = score;
      best = id;
    }
  }
  return best;
};

/** Draws from softmax(scores): one number of `random` per token, whatever the vocabulary. */
export const sampling =
  (random: Random): Selection =>
  (scores) => {
    const best = argmax(scores);
    if (best < 0) return -1;
    let left = random() * Math.exp(logNormaliser(scores) - scores[best]!);
    for (let id = 0; id < scores.length; id += 1) {
      left -= Math.exp(scores[id]! - scores[best]!);
      if (left < 0) return id;
    }
    return best; // rounding left a rest
  };

/** log of the sum of exp, in float64: what log-softmax subtracts. */
export function logNormaliser(logits: Float32Array): number {
  let highest = -Infinity;
  for (let index = 0; index < logits.length; index += 1) {
    if (logits[index]! > highest) highest = logits[index]!;
  }
  let sum = 0;
  for (let index = 0; index < logits.length; index += 1) {
    sum += Math.exp(logits[index]! - highest);
  }
  return highest + Math.log(sum);
}

/** log-softmax of one row at `id`, natural logarithm, accumulated in float64. */
export const logProbability = (logits: Float32Array, id: number): number =>
  (logits[id] ?? NaN) - logNormaliser(logits);
