// Counts of the n-grams of a tokenised text, one map per order, keyed by the words joined by a space
// (which no token holds).
export const orders = 4;

/** Of order n at n - 1. */
export type NgramCounts = readonly ReadonlyMap<string, number>[];

export function countNgrams(words: readonly string[]): NgramCounts {
  return Array.from({ length: orders }, (_, at) => {
    const counts = new Map<string, number>();
    for (let start = 0; start + at < words.length; start += 1) {
      const ngram = words.slice(start, start + at + 1).join(" ");
      counts.set(ngram, (counts.get(ngram) ?? 0) + 1);
    }
    return counts;
  });
}
