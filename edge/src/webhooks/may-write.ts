// Which of our words may go into a CMS: the one rule that no word of a human is ever overwritten. Pure.
import { words as allWords, type Word } from "@blip2-edge/shared/contracts/connections";
import type { Words } from "./adapter.ts";

type Value = Words[Word];

export const isEmpty = (value: Value): boolean =>
  value === null ||
  value === undefined ||
  (typeof value === "string" ? value.trim() === "" : value.every((tag) => tag.trim() === ""));

/** Whether two fields hold the same; the white space around a text does not matter, nor does the case of nothing. */
export function isSame(a: Value, b: Value): boolean {
  if (isEmpty(a) || isEmpty(b)) return isEmpty(a) && isEmpty(b);
  if (typeof a === "string" || typeof b === "string") {
    return typeof a === "string" && typeof b === "string" && a.trim() === b.trim();
  }
  return JSON.stringify(a) === JSON.stringify(b);
}

export interface WriteRule {
  /** What we wrote, or meant to. */
  readonly own: readonly Words[];
  /** What the fields held when the picture was described; undefined: words of others stay whatever they are. */
  readonly replaceable: Words | undefined;
}

/** Those of `wanted` whose field is empty, or holds our own words, or what may be replaced. */
export function writable(wanted: Words, current: Words, { own, replaceable }: WriteRule): Words {
  return pick(wanted, (word) => {
    const now = current[word];
    // A field that the CMS did not give is not there.
    if (now === undefined) return false;
    if (isEmpty(now)) return true;
    if (own.some((ours) => ours[word] !== undefined && isSame(now, ours[word]))) return true;
    return replaceable?.[word] !== undefined && isSame(now, replaceable[word]);
  });
}

/** Those of `wanted` that the fields do not hold yet. */
export const missing = (wanted: Words, current: Words): Words =>
  pick(wanted, (word) => !isSame(wanted[word], current[word]));

/** The same fields, with nothing in them. */
export const asIfEmpty = (words: Words): Words =>
  Object.fromEntries(Object.keys(words).map((word) => [word, null]));

export const hasWords = (words: Words): boolean => Object.keys(words).length > 0;

export function pick(words: Words, keep: (word: Word) => boolean): Words {
  const kept = allWords.filter((word) => words[word] !== undefined && keep(word));
  return Object.fromEntries(kept.map((word) => [word, words[word]])) as Words;
}
