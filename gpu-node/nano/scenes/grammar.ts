// English for groups of things: "a red car", "two pairs of glasses", "some bread"; and back.

import type { Colour, Thing } from "./vocabulary.ts";
import { colours, things } from "./vocabulary.ts";

export const numberWords = ["zero", "one", "two", "three", "four"] as const;

/** Things that do not take "a". */
const singulars: Readonly<Record<string, string>> = {
  corn: "an ear of corn",
  bread: "a loaf of bread",
  broccoli: "a broccoli",
  scissors: "a pair of scissors",
  glasses: "a pair of glasses",
};

export const withArticle = (phrase: string): string =>
  /^(?:[aeio]|u(?!nicorn))/.test(phrase) ? `an ${phrase}` : `a ${phrase}`;

const coloured = (noun: string, colour: Colour | null): string =>
  colour === null ? noun : `${colour} ${noun}`;

/** "dog", "red car": without article, as an answer names it. */
export const bareName = (thing: Thing, colour: Colour | null): string =>
  coloured(thing.noun, colour);

/** "a dog", "a red car", "a pair of glasses" */
export const one = (thing: Thing, colour: Colour | null): string =>
  singulars[thing.noun] ?? withArticle(coloured(thing.noun, colour));

export const pluralName = (thing: Thing, colour: Colour | null): string =>
  coloured(thing.plural, colour);

/** "a dog", "three red cars" */
export function countedName(thing: Thing, colour: Colour | null, count: number): string {
  return count === 1
    ? one(thing, colour)
    : `${numberWords[count] ?? "many"} ${pluralName(thing, colour)}`;
}

/** "a dog, two cats and a red car" */
export function listed(phrases: readonly string[]): string {
  const last = phrases.at(-1) ?? "";
  return phrases.length < 2 ? last : `${phrases.slice(0, -1).join(", ")} and ${last}`;
}

export interface NamedGroup {
  readonly noun: string;
  readonly colour: Colour | null;
  readonly count: number;
}

/** Every phrase that `countedName` can say, with what it means. */
export const groupByPhrase: ReadonlyMap<string, NamedGroup> = new Map(
  things.flatMap((thing) =>
    [null, ...(thing.recolourable ? colours : [])].flatMap((colour) =>
      [1, 2, 3, 4].map(
        (count) =>
          [countedName(thing, colour, count), { noun: thing.noun, colour, count }] as const,
      ),
    ),
  ),
);
