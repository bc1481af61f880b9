// From a caption to alt text that is fit for use: what a screen reader says already is left out ("an image of"),
// a phrase that a model repeats is said once, it begins as a sentence does and ends at a word. Pure; English words
// only, and what none of the rules knows stays as it is.
import { bare, saidOnce } from "./said-once.ts";

export const defaultAltLength = 125;

export interface AltTextRules {
  /** The most characters (Unicode code points). */
  readonly maxLength?: number | undefined;
  /** Words of the model, and what is said instead; whole words, whatever their case. */
  readonly glossary?: readonly { readonly from: string; readonly to: string }[] | undefined;
  /** The model was stopped before it had ended. */
  readonly isUnfinished?: boolean | undefined;
}

const kinds = "(?:images?|pictures?|photos?|photographs?|pics?|snapshots?)";
const looks = [
  ...["close[- ]?up", "up[- ]close", "zoomed[- ]in", "cropped", "black[- ]and[- ]white"],
  ...["blurry", "blurred", "grainy", "(?:high|low)[- ](?:quality|resolution)"],
  ...["extreme", "stock", "colou?r", "digital"],
].join("|");
/** "this is a blurry black and white photo of", "a close-up of", "the image shows": what comes before the content. */
const preamble = new RegExp(
  [
    `^(?:(?:this|here|it) is |there is )?(?:an? |the |this )?(?:(?:${looks}),? )*`,
    `(?:${kinds}(?: taken)?|close[- ]?up(?: (?:shot|view|${kinds}))?)`,
    "(?: of|(?: that)? (?:shows|depicts|features)| showing| depicting| featuring| with|:)(?:\\s+|$)",
    `|^in (?:the|this) ${kinds},? (?:there (?:is|are)|(?:we|you|one)(?: can)? sees?)(?:\\s+|$)`,
  ].join(""),
  "i",
);

/** What no text ends with once it is cut. */
const danglers = new Set(
  "a an and are as at be behind beside but by for from front in inside into is near next of on onto or over that the their to under up while which who with".split(
    " ",
  ),
);

/** Empty when nothing is left to say. */
export function altText(
  text: string,
  { maxLength = defaultAltLength, glossary = [], isUnfinished = false }: AltTextRules = {},
): string {
  // Also what is not seen (controls, turned directions, tags), but for the joiners that scripts and emoji need.
  const seen = text
    .replaceAll(/[\p{Cc}\s]+/gu, " ")
    .replaceAll(/(?![\u200c\u200d])[\p{Cf}\u{e0100}-\u{e01ef}]/gu, "");
  const said = calm(settled(seen));
  const ours = glossary.reduce((result, { from, to }) => replaceWord(result, from, to), said);
  const whole = trimmed(ours);
  return capped(capital(isUnfinished ? withoutDanglers(whole) : whole), maxLength);
}

/** What one rule leaves may be something for the other. */
function settled(text: string): string {
  let rest = text;
  for (;;) {
    const shorter = saidOnce(trimmed(rest).replace(preamble, ""));
    if (shorter === rest) return rest;
    rest = shorter;
  }
}

const trimmed = (text: string): string =>
  text.replaceAll(/\s+/g, " ").replace(/^[\s,;:.!?-]+|[\s,;:.-]+$/g, "");

function replaceWord(text: string, from: string, to: string): string {
  const escaped = from.trim().replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
  if (escaped === "") return text;
  return text.replaceAll(
    new RegExp(String.raw`(?<![\p{L}\p{N}])${escaped}(?![\p{L}\p{N}])`, "giu"),
    () => to,
  );
}

/** What shouts is lowered; one word may be a name (a TV). The first letter does not matter: it will be a capital. */
function calm(text: string): string {
  const [, ...rest] = text;
  const others = rest.join("");
  const isLoud = others === others.toUpperCase() && /\p{L}{2}.*\s.*\p{L}{2}/u.test(text);
  return isLoud ? text.toLowerCase() : text;
}

/** But for names that are written otherwise (iPhone). */
const capital = (text: string): string =>
  text.replace(/^\p{Ll}(?!\p{L}*\p{Lu})/u, (letter) => letter.toUpperCase());

function withoutDanglers(text: string): string {
  const words = text.split(" ");
  while (danglers.has(bare(words.at(-1) ?? ""))) words.pop();
  return trimmed(words.join(" "));
}

const lengthOf = (text: string): number => Array.from(text).length;

/** Cut between two words; within one, between two characters as they are read, only where nothing else is left. */
function capped(text: string, maxLength: number): string {
  if (lengthOf(text) <= maxLength) return text;
  const head = Array.from(text)
    .slice(0, maxLength + 1)
    .join("");
  const words = withoutDanglers(head.slice(0, Math.max(0, head.lastIndexOf(" "))));
  if (words !== "") return words;
  let kept = "";
  for (const { segment } of new Intl.Segmenter("en").segment(text)) {
    if (lengthOf(kept) + lengthOf(segment) > maxLength) break;
    kept += segment;
  }
  return trimmed(kept);
}
