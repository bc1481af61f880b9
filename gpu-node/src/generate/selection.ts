// How the next token is chosen from processed scores (greedy: the first of the highest), and how
// probable the model itself held it.

/** Chooses a token of one row; sampling will be another of these. */
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

/** log-softmax of one row at `id`, natural logarithm, accumulated in float64. */
export function logProbability(logits: Float32Array, id: number): number {
  let highest = -Infinity;
  for (let index = 0; index < logits.length; index += 1) {
    if (logits[index]! > highest) highest = logits[index]!;
  }
  let sum = 0;
  for (let index = 0; index < logits.length; index += 1) {
    sum += Math.exp(logits[index]! - highest);
  }
  return (logits[id] ?? NaN) - highest - Math.log(sum);
}
