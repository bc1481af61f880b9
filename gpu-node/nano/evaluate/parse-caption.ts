// Reads a caption back into groups of things and a background, whatever frame it is said in.

import type { NamedGroup } from "../scenes/grammar.ts";
import { groupByPhrase } from "../scenes/grammar.ts";
import type { Colour } from "../scenes/vocabulary.ts";
import { colours } from "../scenes/vocabulary.ts";

export interface ParsedCaption {
  readonly groups: readonly NamedGroup[];
  /** Phrases that name nothing we know. */
  readonly unknown: readonly string[];
  readonly background: Colour | null;
}

const ending = new RegExp(` (?:on|in front of) an? (${colours.join("|")}) background$`);
const joints = /, | and | to the left of | to the right of | above | below /;

export function parseCaption(caption: string): ParsedCaption {
  const said = caption
    .trim()
    .replace(/\.$/, "")
    .replace(/^a picture of /, "");
  const end = ending.exec(said);
  const phrases = (end === null ? said : said.slice(0, end.index))
    .split(joints)
    .filter((phrase) => phrase !== "");
  const groups: NamedGroup[] = [];
  const unknown: string[] = [];
  for (const phrase of phrases) {
    const group = groupByPhrase.get(phrase);
    if (group === undefined) unknown.push(phrase);
    else groups.push(group);
  }
  return { groups, unknown, background: (end?.[1] as Colour | undefined) ?? null };
}
