// ROUGE-L as coco-caption computes it: the best precision and the best recall of the longest common
// subsequence over the references, joined by an F score that favours recall.
const beta = 1.2;

export function rougeLOf(
  candidate: readonly string[],
  references: readonly (readonly string[])[],
): number {
  if (candidate.length === 0) return 0;
  const lengths = references.map((reference) => commonLength(candidate, reference));
  const precision = Math.max(...lengths) / candidate.length;
  const recall = Math.max(
    ...lengths.map((length, at) => length / Math.max(1, references[at]?.length ?? 0)),
  );
  if (precision === 0 || recall === 0) return 0;
  return ((1 + beta ** 2) * precision * recall) / (recall + beta ** 2 * precision);
}

/** Of the longest common subsequence. */
function commonLength(a: readonly string[], b: readonly string[]): number {
  let above = Array.from({ length: b.length + 1 }, () => 0);
  for (const word of a) {
    const row = [0];
    b.forEach((other, at) => {
      row.push(word === other ? (above[at] ?? 0) + 1 : Math.max(above[at + 1] ?? 0, row[at] ?? 0));
    });
    above = row;
  }
  return above[b.length] ?? 0;
}
