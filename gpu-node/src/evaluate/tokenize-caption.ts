// Words of a caption as the caption metrics count them: Penn Treebank style, lower case, punctuation
// removed. COCO's own scripts call a Java tokenizer here; docs/evaluation.md says how this one differs.

/** What coco-caption removes, less its bracket names: those it lists in capitals, after lower-casing. */
const dropped = new Set(["'", "`", '"', ".", "?", "!", ",", ":", "-", ";"]);

const brackets: Readonly<Record<string, string>> = {
  "(": "-lrb-",
  ")": "-rrb-",
  "[": "-lsb-",
  "]": "-rsb-",
  "{": "-lcb-",
  "}": "-rcb-",
};

/** Words that Penn Treebank writes as two. */
const assimilated: Readonly<Record<string, readonly [string, string]>> = {
  cannot: ["can", "not"],
  gonna: ["gon", "na"],
  gotta: ["got", "ta"],
  wanna: ["wan", "na"],
  gimme: ["gim", "me"],
  lemme: ["lem", "me"],
};

/** Initials (u.s.); words joined by - / ' and, between digits, by . , : ; then any other sign by itself. */
const pieces =
  /(?:\p{L}\.){2,}|[\p{L}\p{N}\p{M}_]+(?:(?:[-/']|(?<=\p{N})[.,:](?=\p{N}))[\p{L}\p{N}\p{M}_]+)*|\S/gu;

const contraction = /^(.+)(n't|'(?:s|m|d|re|ve|ll))$/u;

function splitWord(word: string): readonly string[] {
  const pair = Object.hasOwn(assimilated, word) ? assimilated[word] : undefined;
  if (pair !== undefined) return pair;
  const [, head, tail] = contraction.exec(word) ?? [];
  return head === undefined || tail === undefined ? [word] : [...splitWord(head), tail];
}

export function tokenizeCaption(text: string): readonly string[] {
  const plain = text
    .toLowerCase()
    .replaceAll(/[\u2018\u2019]/g, "'")
    .replaceAll(/[\u201c\u201d]|''/g, '"');
  return (plain.match(pieces) ?? [])
    .flatMap(splitWord)
    .filter((word) => !dropped.has(word))
    .map((word) => (Object.hasOwn(brackets, word) ? (brackets[word] ?? word) : word));
}
