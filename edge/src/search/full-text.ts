// What a caller wrote, as queries of FTS5: its words alone, each in quotes, so that nothing of it is read as
// syntax.

const maxWords = 32;

/** Each once, in quotes. */
export const queryWords = (text: string): readonly string[] =>
  [...new Set(text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [])]
    .slice(0, maxWords)
    .map((word) => `"${word}"`);

export const anyOf = (words: readonly string[]): string => words.join(" OR ");

/** All of them in what people wrote, what models said left out. */
export const toldQuery = (words: readonly string[]): string =>
  `{title text tags} : (${words.join(" AND ")})`;
