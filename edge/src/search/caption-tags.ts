// Tags from a caption: the phrases between its function words, and the last word of each, in the singular. "two owls
// and a lion on a pink background": owl, lion, pink background, background. It knows a few hundred English words and no
// grammar: a verb it does not know may stay in a phrase. Captions of the published models are English.
import pluralize from "pluralize";

const maxTags = 20;
const maxPhraseWords = 3;

const listed = (words: string): readonly string[] => words.split(/\s+/);
const functionWords = new Set([
  ...listed(
    "a an the this that these those some any each every all both many several few much more",
  ),
  ...listed(
    "most other another no none not one two three four five six seven eight nine ten dozen",
  ),
  ...listed(
    "and or but nor with without of on in at by for from to into onto over under above below",
  ),
  ...listed(
    "behind beside besides between among near next against through across around along inside",
  ),
  ...listed("outside up down off out as than like per via upon within toward towards during while"),
  ...listed("is are was were be been has have had do does did can could will would it its his her"),
  ...listed(
    "their our my your they them he she him we you i who which what where there here very too",
  ),
  // Of a place in the picture, of an amount, of the picture itself.
  ...listed(
    "top bottom front back left right side middle center centre edge end part group pair pairs",
  ),
  ...listed(
    "couple bunch set piece pieces lot lots row rows variety picture pictures photo photos",
  ),
  ...listed("photograph image images view close closeup drawing illustration"),
  // What captions say that somebody does.
  ...listed(
    "sit sits stand stands lie lies lay lays ride rides hold holds eat eats play plays walk walks",
  ),
  ...listed(
    "run runs fly flies look looks wear wears jump jumps drive drives go goes get gets take takes",
  ),
  ...listed("sat stood held rode ate ran flew seen shown made"),
]);
/** Words that only look like what somebody does. */
const namesOfThings = new Set([
  ...listed(
    "building ceiling clothing wedding painting evening morning string wing ring king spring",
  ),
  ...listed(
    "swing sling earring railing awning pudding dressing icing crossing bed red shed sled seed",
  ),
  ...listed("weed reed steed speed seaweed"),
]);
const isFunctionWord = (word: string): boolean =>
  functionWords.has(word) ||
  (word.length > 4 && /(?:ing|ed)$/.test(word) && !namesOfThings.has(word)) ||
  /^\d+$/.test(word);

/** Each once, in the order in which the caption names them. */
export function captionTags(caption: string): string[] {
  const tags = new Set<string>();
  for (const phrase of phrasesOf(caption)) {
    const words = phrase.slice(-maxPhraseWords);
    const last = singularOf(words.at(-1) ?? "");
    if (last === "") continue;
    tags.add([...words.slice(0, -1), last].join(" "));
    tags.add(last);
  }
  return [...tags].filter((tag) => tag.length <= 64).slice(0, maxTags);
}

// What the library's own rules make "cooky" and "canva" of.
pluralize.addSingularRule(/\b(cook|brown|hood|smooth|self|zomb|bird)ies$/i, "$1ie");
for (const word of ["canvas", "lens"]) pluralize.addUncountableRule(word);

/** `glass` and `bus` are no plurals. */
const singularOf = (word: string): string =>
  /(?:ss|us)$/.test(word) ? word : pluralize.singular(word);

function phrasesOf(caption: string): string[][] {
  const phrases: string[][] = [];
  for (const part of caption.toLowerCase().split(/[^\p{L}\p{N}\s'’-]+/u)) {
    let phrase: string[] = [];
    for (const [word] of part.matchAll(/[\p{L}\p{N}][\p{L}\p{N}'’-]*/gu)) {
      const bare = word.replace(/['’]s?$/, "");
      if (!isFunctionWord(bare)) {
        phrase.push(bare);
        continue;
      }
      phrases.push(phrase);
      phrase = [];
    }
    phrases.push(phrase);
  }
  return phrases.filter((phrase) => phrase.length > 0);
}
