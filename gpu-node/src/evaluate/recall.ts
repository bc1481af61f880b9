// Recall at k of a search in both directions, with several texts to a picture. A tie counts against the model:
// everything wrong that scores as high as the best right one is taken to stand before it.
import { type Estimate, meanOf } from "./standard-error.ts";

export const recallDepths = [1, 5, 10] as const;
export type Recalls = Readonly<Record<`R@${(typeof recallDepths)[number]}`, Estimate>>;

/** How many wrong ones stand before the first right one: 0 is found at once. */
export function rankOf(scores: ArrayLike<number>, isRight: (at: number) => boolean): number {
  let best = -Infinity;
  for (let at = 0; at < scores.length; at += 1) {
    if (isRight(at)) best = Math.max(best, scores[at]!);
  }
  let before = 0;
  for (let at = 0; at < scores.length; at += 1) {
    // Not "at least": what is no number counts against the model too.
    if (!isRight(at) && !(scores[at]! < best)) before += 1;
  }
  return before;
}

export function recallsOf(ranks: readonly number[]): Recalls {
  const at = (depth: number): Estimate => meanOf(ranks.map((rank) => (rank < depth ? 1 : 0)));
  return { "R@1": at(1), "R@5": at(5), "R@10": at(10) };
}
