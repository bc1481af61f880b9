// A phrase that follows itself, at once or after "and" and "or", is said once: models that generate greedily may go
// round in a circle. Pure.

const longestPhrase = 12;

/** Words that are two of the same: the tuk tuk, a yo yo. */
const doubles = new Set("bora can choo cous dum hula knock pad pom tuk walla yo yum".split(" "));

const isJoint = (word: string | undefined): boolean => word === "and" || word === "or";
/** As it is compared: in lower case, without the sign behind it. */
export const bare = (word: string): string => word.toLowerCase().replaceAll(/[,;.]+$/g, "");

/** Words are what spaces part. The longest phrases go first. */
export function saidOnce(text: string): string {
  let words = text.split(" ");
  for (let size = Math.min(longestPhrase, words.length >> 1); size >= 1; size--) {
    words = withoutRepeats(words, size);
  }
  return words.join(" ");
}

function withoutRepeats(words: readonly string[], size: number): string[] {
  const phraseAt = (list: readonly string[], from: number): string =>
    list
      .slice(from, from + size)
      .map(bare)
      .join(" ");
  const kept: string[] = [];
  const repeats = (from: number): boolean =>
    kept.length >= size &&
    from + size <= words.length &&
    phraseAt(words, from) === phraseAt(kept, kept.length - size);
  const isDouble = (word: string): boolean =>
    size === 1 && doubles.has(word) && bare(kept.at(-2) ?? "") !== word;
  for (let at = 0; at < words.length;) {
    const word = words[at] ?? "";
    if (repeats(at) && !isDouble(bare(word))) at += size;
    else if (isJoint(word) && repeats(at + 1)) at += size + 1;
    else {
      kept.push(word);
      at += 1;
    }
  }
  return kept;
}
