// Finds the things that a text names, for the training loss that ties a noun to the picture.

import { thingIndex, things } from "./vocabulary.ts";

export interface Mention {
  /** Character offset just after the noun. */
  readonly end: number;
  /** Index into `things`. */
  readonly thing: number;
}

const indexByName = new Map(
  things.flatMap((thing) => {
    const index = thingIndex.get(thing.noun) ?? -1;
    return [[thing.noun, index] as const, [thing.plural, index] as const];
  }),
);
// Longest first, so that "hot dog" is not read as "dog".
const names = [...indexByName.keys()].sort((a, b) => b.length - a.length || a.localeCompare(b));
const pattern = new RegExp(`\\b(?:${names.join("|")})\\b`, "g");

export function mentionsIn(text: string): readonly Mention[] {
  return [...text.matchAll(pattern)].map((match) => ({
    end: match.index + match[0].length,
    thing: indexByName.get(match[0]) ?? -1,
  }));
}
