// The continuations that a step of beam search looks at: the best K over all beams, or K drawn without
// replacement by their probability.
import type { Random } from "./random.ts";

export interface Candidate {
  /** Index of the beam that it continues. */
  readonly beam: number;
  readonly id: number;
  /** Sum of processed log-probabilities, float32. */
  readonly score: number;
}

export interface ScoredBeam {
  /** float32 sum so far. */
  readonly score: number;
  /** Processed log-probabilities of the next token. */
  readonly next: Float32Array;
}

/**
 * The K highest of all beams x vocabulary, best first, equal ones in their order; none at -Infinity. With
 * `random` each candidate's place is that of its score plus Gumbel noise, which draws K without
 * replacement from the softmax of the scores, in the order of drawing (Kool et al. 2019).
 */
export function takeCandidates(
  beams: readonly ScoredBeam[],
  count: number,
  random?: Random,
): Candidate[] {
  const best: (Candidate & { readonly rank: number })[] = [];
  beams.forEach(({ score: soFar, next }, beam) => {
    for (let id = 0; id < next.length; id += 1) {
      const score = Math.fround(soFar + next[id]!);
      if (!(score > -Infinity)) continue;
      const rank = random === undefined ? score : score + gumbel(random);
      if (best.length === count && !(rank > best[count - 1]!.rank)) continue;
      if (best.length === count) best.pop();
      let at = best.length;
      while (at > 0 && best[at - 1]!.rank < rank) at -= 1;
      best.splice(at, 0, { beam, id, score, rank });
    }
  });
  return best;
}

/** A standard Gumbel variate; `random` may give 0. */
const gumbel = (random: Random): number => -Math.log(-Math.log(random() || 2 ** -53));
