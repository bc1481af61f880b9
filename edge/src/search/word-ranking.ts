// Which records have words of the query, and how well they fit: BM25 by FTS5. To rank a record costs more than to
// compare a vector, so in a large namespace words are ranked from the rarest on while they stand in few enough records.
// Of the more frequent ones only that they are there counts, and one that stands in more than half of all counts nothing,
// which is what BM25 makes of it as well.
import { anyOf, queryWords, toldQuery } from "./full-text.ts";
import type { IndexValue } from "./index-sql.ts";

export interface WordTables {
  readonly all: <Row>(query: string, ...values: IndexValue[]) => Row[];
  /** The number `n` of the first row; 0 without one. */
  readonly count: (query: string, ...values: IndexValue[]) => number;
  readonly records: () => number;
  /** Records that are ranked for one query. */
  readonly maxRanked?: number;
}

export interface WordScores {
  /** By record; the higher, the better. */
  readonly scores: ReadonlyMap<number, number>;
  /** Those with every word of the query in what people wrote. */
  readonly told: ReadonlySet<number>;
}

export interface WordRanking {
  /** `allowed` undefined: all records. */
  (text: string | undefined, allowed: ReadonlySet<number> | undefined, most: number): WordScores;
}

/** About ten milliseconds. */
const defaultMaxRanked = 10_000;
/** More frequent words whose presence is looked up, the rarest first. */
const maxFrequent = 4;
/** Of the ranked ones so many times what is asked for are compared by their frequent words too. */
const depth = 5;
const maxKnown = 1000;
/** Frequencies are counted anew when the records are so much more or fewer. */
const staleShare = 0.1;

// A title says more than a long text. As FTS5's own rank it is sorted inside FTS5, which is faster than by an expression.
const rank = "rank MATCH 'bm25(4, 1, 4, 2)'";

export function wordRanking(tables: WordTables): WordRanking {
  const { all, count, records, maxRanked = defaultMaxRanked } = tables;
  let known = new Map<string, number>();
  let knownOf = 0;

  /** In how many records a word stands; to know it of a frequent one costs reading all of them, so it is remembered. */
  function frequency(word: string): number {
    const now = records();
    if (Math.abs(now - knownOf) > staleShare * knownOf || known.size > maxKnown) {
      [known, knownOf] = [new Map(), now];
    }
    const before = known.get(word);
    if (before !== undefined) return before;
    const found = count("SELECT count(*) AS n FROM words WHERE words MATCH ?", word);
    // One that is rare now is cheap to count, and may be new.
    if (found > maxRanked) known.set(word, found);
    return found;
  }

  return (text, allowed, most) => {
    const words = text === undefined ? [] : queryWords(text);
    if (words.length === 0) return { scores: new Map(), told: new Set() };
    // The plus keeps SQLite from asking FTS5 anew for each of the records.
    const within = allowed === undefined ? "" : " AND +rowid IN (SELECT value FROM json_each(?))";
    const bound = allowed === undefined ? [] : [JSON.stringify([...allowed])];
    const ranked = (query: string, limit: number) =>
      all<{ seq: number; score: number }>(
        `SELECT rowid AS seq, -rank AS score FROM words WHERE words MATCH ? AND ${rank}${within} ORDER BY rank LIMIT ?`,
        ...[query, ...bound, limit],
      );
    const having = (query: string, limit: number): number[] =>
      all<{ seq: number }>(
        `SELECT rowid AS seq FROM words WHERE words MATCH ?${within} LIMIT ?`,
        ...[query, ...bound, limit],
      ).map(({ seq }) => seq);

    if (records() <= maxRanked) {
      const told = ranked(toldQuery(words), most);
      // One kind of score for all: who is in both lists has that of any of the words.
      const both = [...told, ...ranked(anyOf(words), most)];
      return {
        scores: new Map(both.map(({ seq, score }) => [seq, score])),
        told: new Set(told.map(({ seq }) => seq)),
      };
    }

    const { rare, frequent } = sorted(
      words.map((word) => ({ word, n: frequency(word) })),
      maxRanked,
    );
    const told = having(toldQuery(words), most);
    const scores = new Map<number, number>();
    if (rare.length > 0) {
      const any = anyOf(rare);
      for (const { seq, score } of ranked(any, depth * most)) scores.set(seq, score);
      for (const { word, n } of frequent) {
        const idf = Math.log((records() - n + 0.5) / (n + 0.5));
        if (idf <= 0) continue;
        for (const seq of having(`(${any}) AND ${word}`, maxRanked)) {
          const score = scores.get(seq);
          if (score !== undefined) scores.set(seq, score + idf);
        }
      }
    }
    const best = [...scores]
      .toSorted(([a, one], [b, other]) => other - one || a - b)
      .slice(0, most);
    const least = best.at(-1)?.[1] ?? 0;
    return {
      scores: new Map([...told.map((seq) => [seq, scores.get(seq) ?? least] as const), ...best]),
      told: new Set(told),
    };
  };
}

interface CountedWord {
  readonly word: string;
  readonly n: number;
}

/** From the rarest on, those whose records are few enough together; of the others the rarest few. */
function sorted(words: readonly CountedWord[], maxRanked: number) {
  const there = words.filter(({ n }) => n > 0).toSorted((a, b) => a.n - b.n);
  let sum = 0;
  const rare = there.filter(({ n }) => (sum += n) <= maxRanked);
  return {
    rare: rare.map(({ word }) => word),
    frequent: there.slice(rare.length, rare.length + maxFrequent),
  };
}
