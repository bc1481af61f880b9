// BLEU of a corpus as coco-caption computes it: clipped n-gram precision over all captions together, brevity
// against the closest reference length, and that package's two small numbers against division by zero.
import { countNgrams, orders } from "./ngrams.ts";

/** What one caption adds to the corpus; sums of these are all that BLEU reads. */
export interface BleuCounts {
  readonly words: number;
  /** Length of the reference nearest in length, the shorter of two as near. */
  readonly referenceWords: number;
  /** By order: n-grams of the caption, and those of them that the references cover. */
  readonly guessed: readonly number[];
  readonly correct: readonly number[];
}

export function countBleu(
  candidate: readonly string[],
  references: readonly (readonly string[])[],
): BleuCounts {
  const covered = references.map(countNgrams);
  const own = countNgrams(candidate);
  const nearest = references
    .map(({ length }) => length)
    .reduce((best, length) => {
      const gain = Math.abs(best - candidate.length) - Math.abs(length - candidate.length);
      return gain > 0 || (gain === 0 && length < best) ? length : best;
    });
  return {
    words: candidate.length,
    referenceWords: nearest,
    guessed: own.map((_, at) => Math.max(0, candidate.length - at)),
    correct: own.map((counts, at) => {
      let sum = 0;
      for (const [ngram, count] of counts) {
        const most = Math.max(...covered.map((reference) => reference[at]?.get(ngram) ?? 0));
        sum += Math.min(count, most);
      }
      return sum;
    }),
  };
}

/** Sums over a corpus, to be added to in place: words, reference words, guessed and correct by order. */
export type BleuSums = Float64Array;
export const bleuSums = (): BleuSums => new Float64Array(2 + 2 * orders);

export function addBleuCounts(sums: BleuSums, counts: BleuCounts): void {
  sums[0]! += counts.words;
  sums[1]! += counts.referenceWords;
  for (let at = 0; at < orders; at += 1) {
    sums[2 + at]! += counts.guessed[at] ?? 0;
    sums[2 + orders + at]! += counts.correct[at] ?? 0;
  }
}

/** coco-caption's: added to every numerator and every denominator. It is all the smoothing there is. */
const tiny = 1e-15;
const small = 1e-9;

/** BLEU-1 to BLEU-4. */
export function bleuOf(sums: BleuSums): readonly number[] {
  const ratio = (sums[0]! + tiny) / (sums[1]! + small);
  const brevity = ratio < 1 ? Math.exp(1 - 1 / ratio) : 1;
  let product = 1;
  return Array.from({ length: orders }, (_, at) => {
    product *= (sums[2 + orders + at]! + tiny) / (sums[2 + at]! + small);
    return product ** (1 / (at + 1)) * brevity;
  });
}
