// The text of a sequence as it is written: what more tokens cannot change any more, and nothing else. What it
// gives, joined, is the whole text as the tokenizer decodes it: no half characters, no space at its ends, no space
// before punctuation that decoding will take away.
import type { Tokenizer } from "../tokenizers/tokenizer.ts";

export interface TextStream {
  /** All ids so far; gives the text that they add. */
  push(ids: readonly number[]): string;
  /** The whole text; gives what of it was not given yet. */
  end(text: string): string;
}

/** What bytes that are no character yet are decoded as. */
const replacement = "\uFFFD";

/**
 * Where decoding takes spaces away, it does so before these (" .", " n't", " 've" ...), and one of them may make
 * another one: " n ' t" becomes "n't". So text is final up to a space that is followed by none of them.
 */
const movable = new Set([".", "?", "!", ",", "'", "n"]);

export function createTextStream(tokenizer: Pick<Tokenizer, "decode" | "cleansUp">): TextStream {
  let given = "";
  const add = (text: string): string => {
    // Text that went back on itself stays as it was; `end` has the last word.
    if (!text.startsWith(given)) return "";
    const more = text.slice(given.length);
    given = text;
    return more;
  };
  return {
    push(ids) {
      const whole = withoutOpenEnd(tokenizer.decode(ids));
      return add(tokenizer.cleansUp ? settledPart(whole) : whole);
    },
    end: add,
  };
}

function withoutOpenEnd(text: string): string {
  let end = text.length;
  while (end > 0 && text[end - 1] === replacement) end -= 1;
  // The open character may be a space, which at the end would be no part of the text.
  return text.slice(0, end).trimEnd();
}

function settledPart(text: string): string {
  for (let at = text.length - 2; at > 0; at -= 1) {
    if (text[at] === " " && !movable.has(text[at + 1] ?? "")) return text.slice(0, at).trimEnd();
  }
  return "";
}
