// From a caption to alt text that is fit for use: what a screen reader says already is left out ("an image of"),
// a phrase that a model repeats is said once, it begins as a sentence does and ends at a word. Pure; English words
// only, and what none of the rules knows stays as it is.

export const defaultAltLength = 125;

export interface AltTextRules {
  /** The most characters (Unicode code points). */
  readonly maxLength?: number | undefined;
  /** Words of the model, and what is said instead; whole words, whatever their case. */
  readonly glossary?: readonly { readonly from: string; readonly to: string }[] | undefined;
}

/** "this is a blurry black and white photo of": what comes before the picture's content. */
const preamble =
  /^(?:(?:this|here|it) is |there is )?(?:an? |the )?(?:(?:close[- ]?up|black and white|blurry|cropped|high[- ]quality|stock|colou?r|digital) )*(?:images?|pictures?|photos?|photographs?|pics?|snapshots?)(?: (?:of|showing|shows|depicting|featuring|with)| that shows)\s+/i;

/** What no text ends with once it is cut. */
const danglers = new Set(
  "a an and are as at be behind beside but by for from front in inside into is near next of on onto or over that the their to under up while which who with".split(
    " ",
  ),
);
const longestPhrase = 12;

/** Empty when nothing is left to say. */
export function altText(
  text: string,
  { maxLength = defaultAltLength, glossary = [] }: AltTextRules = {},
): string {
  const plain = text.replaceAll(/[\p{Cc}\s]+/gu, " ").trim();
  const said = settled(plain);
  const ours = glossary.reduce((result, { from, to }) => replaceWord(result, from, to), said);
  const trimmed = ours.replaceAll(/\s+/g, " ").replace(/^[\s,;:.!?-]+|[\s,;:.-]+$/g, "");
  return sentenceCase(capped(trimmed, maxLength));
}

/** What one rule leaves may be something for the other. */
function settled(text: string): string {
  let rest = text;
  for (;;) {
    const shorter = once(withoutPreamble(rest));
    if (shorter === rest) return rest;
    rest = shorter;
  }
}

function withoutPreamble(text: string): string {
  let rest = text;
  for (;;) {
    const shorter = rest.replace(preamble, "");
    if (shorter === rest || shorter === "") return rest;
    rest = shorter;
  }
}

const isJoint = (word: string | undefined): boolean => word === "and" || word === "or";
const bare = (word: string): string => word.toLowerCase().replaceAll(/[,;.]+$/g, "");

/** Every phrase that follows itself, at once or after "and", is said once; the longest first. */
function once(text: string): string {
  let words = text.split(" ");
  for (let size = Math.min(longestPhrase, words.length >> 1); size >= 1; size--) {
    const kept: string[] = [];
    for (let at = 0; at < words.length;) {
      const last = kept.slice(-size).map(bare).join(" ");
      const repeats = (from: number): boolean =>
        kept.length >= size &&
        from + size <= words.length &&
        words
          .slice(from, from + size)
          .map(bare)
          .join(" ") === last;
      if (repeats(at)) at += size;
      else if (isJoint(words[at]) && repeats(at + 1)) at += size + 1;
      else kept.push(words[at++] ?? "");
    }
    words = kept;
  }
  return words.join(" ");
}

function replaceWord(text: string, from: string, to: string): string {
  const escaped = from.trim().replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
  if (escaped === "") return text;
  return text.replaceAll(
    new RegExp(String.raw`(?<![\p{L}\p{N}])${escaped}(?![\p{L}\p{N}])`, "giu"),
    () => to,
  );
}

function sentenceCase(text: string): string {
  const shouting = text === text.toUpperCase() && /\p{L}{2}/u.test(text);
  const calm = shouting ? text.toLowerCase() : text;
  return calm.replace(/^\p{Ll}/u, (letter) => letter.toUpperCase());
}

/** Cut between two words; within one only when it is longer than all. */
function capped(text: string, maxLength: number): string {
  const characters = Array.from(text);
  if (characters.length <= maxLength) return text;
  const head = characters.slice(0, maxLength + 1).join("");
  const end = head.lastIndexOf(" ");
  if (end <= 0) return characters.slice(0, maxLength).join("");
  const words = head.slice(0, end).split(" ");
  while (words.length > 1 && danglers.has(bare(words.at(-1) ?? ""))) words.pop();
  return words.join(" ").replace(/[\s,;:.-]+$/, "");
}
