// CIDEr-D: tf-idf vectors of 1- to 4-grams, clipped cosine with every reference, a Gaussian penalty on the
// difference in length, times ten. One worked example stands in docs/evaluation.md.
import { countNgrams, type NgramCounts } from "./ngrams.ts";

const sigma = 6;

export interface ScoredText {
  readonly candidate: readonly string[];
  readonly references: readonly (readonly string[])[];
}

interface Vector {
  readonly weights: readonly ReadonlyMap<string, number>[];
  readonly norms: readonly number[];
  /** In bigrams, as coco-caption counts it. */
  readonly length: number;
}

/** CIDEr-D of every text. The document frequency is over the references of these texts and no others. */
export function ciderOf(texts: readonly ScoredText[]): readonly number[] {
  const documents = new Map<string, number>();
  for (const { references } of texts) {
    const present = new Set<string>();
    for (const reference of references) {
      for (const counts of countNgrams(reference)) {
        for (const ngram of counts.keys()) present.add(ngram);
      }
    }
    for (const ngram of present) documents.set(ngram, (documents.get(ngram) ?? 0) + 1);
  }
  const logTexts = Math.log(texts.length);

  const vectorOf = (counts: NgramCounts): Vector => {
    const weights = counts.map((order) => {
      const vector = new Map<string, number>();
      for (const [ngram, count] of order) {
        const inverse = logTexts - Math.log(Math.max(1, documents.get(ngram) ?? 0));
        vector.set(ngram, count * inverse);
      }
      return vector;
    });
    return {
      weights,
      norms: weights.map((vector) => {
        let sum = 0;
        for (const weight of vector.values()) sum += weight ** 2;
        return Math.sqrt(sum);
      }),
      length: [...(counts[1] ?? new Map<string, number>()).values()].reduce((a, b) => a + b, 0),
    };
  };

  return texts.map(({ candidate, references }) => {
    const own = vectorOf(countNgrams(candidate));
    const scores = references.map((reference) => similarity(own, vectorOf(countNgrams(reference))));
    return (10 * scores.reduce((sum, score) => sum + score, 0)) / references.length;
  });
}

/** The mean over the orders. */
function similarity(own: Vector, reference: Vector): number {
  const gap = own.length - reference.length;
  const penalty = Math.exp(-(gap ** 2) / (2 * sigma ** 2));
  const byOrder = own.weights.map((weights, at) => {
    let dot = 0;
    for (const [ngram, weight] of weights) {
      const other = reference.weights[at]?.get(ngram) ?? 0;
      dot += Math.min(weight, other) * other;
    }
    const norms = (own.norms[at] ?? 0) * (reference.norms[at] ?? 0);
    return norms === 0 ? 0 : (dot / norms) * penalty;
  });
  return byOrder.reduce((sum, value) => sum + value, 0) / byOrder.length;
}
