// Answers made comparable as the official VQA evaluation does it: punctuation, then number words, articles and
// contractions. Written from the rules; the figures of docs/evaluation.md say how far both agree.
import { contractions } from "./contractions.ts";

/** In the official order, which matters to nothing: each sign is judged on the text as it came. */
const signs = '; / [ ] " { } ( ) = + \\ _ - > < @ ` , ? !'.split(" ");

/** Official: the pattern that means "not after a digit" says something else and forbids nothing. */
const periods = /\.(?!\d)/g;
/** Official: a flag is passed where the count belongs, so that 32 periods at most are taken out. */
const maxPeriods = 32;

const numbers: ReadonlyMap<string, string> = new Map([
  ["none", "0"],
  ...["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"].map(
    (word, value) => [word, String(value)] as const,
  ),
]);
const articles = new Set(["a", "an", "the"]);

/** Line feeds and tabs are spaces, none of them at the ends. */
export const tidyAnswer = (answer: string): string => answer.replaceAll(/[\n\t]/g, " ").trim();

/** A sign vanishes where a space stands beside it anywhere, or a comma between digits; else it is a space. */
export function withoutPunctuation(answer: string): string {
  const commaInNumber = /\d,\d/.test(answer);
  let text = answer;
  for (const sign of signs) {
    const loose = answer.includes(`${sign} `) || answer.includes(` ${sign}`);
    text = text.replaceAll(sign, loose || commaInNumber ? "" : " ");
  }
  let taken = 0;
  return text.replaceAll(periods, (period) => (taken++ < maxPeriods ? "" : period));
}

/** Lower case, number words as digits, no articles, contractions with their apostrophes. */
export const withPlainWords = (answer: string): string =>
  answer
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== "")
    .map((word) => numbers.get(word) ?? word)
    .filter((word) => !articles.has(word))
    .map((word) => contractions.get(word) ?? word)
    .join(" ");
