// What a caller wrote, as queries of FTS5: its words alone, each in quotes, so that nothing of it is read as
// syntax.

const maxWords = 32;

export interface FullTextQueries {
  /** Any of the words anywhere, for the ranking. */
  readonly any: string;
  /** All of them in what people wrote, captions by a model left out. */
  readonly told: string;
}

/** Undefined: there is no word in it. */
export function fullTextQueries(text: string): FullTextQueries | undefined {
  const words = [...new Set(text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [])].slice(0, maxWords);
  if (words.length === 0) return undefined;
  const quoted = words.map((word) => `"${word}"`);
  return { any: quoted.join(" OR "), told: `{title text tags} : (${quoted.join(" AND ")})` };
}
