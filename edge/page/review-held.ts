// What the fields of the CMS hold beside the words that are suggested: at first as it was when the picture was
// described, then as the CMS says now.
import { words as allWords, type Word } from "@blip2-edge/shared/contracts/connections";
import type { CurrentWords } from "@blip2-edge/shared/contracts/review";
import type { Suggestion } from "@blip2-edge/shared/contracts/suggestions";
import { el } from "./dom.ts";

type Words = Suggestion["ours"];
const names: Readonly<Record<Word, string>> = {
  alt: "alt text",
  caption: "caption",
  tags: "tags",
};

export const heldThen = ({ ours, before }: Suggestion): HTMLElement =>
  held("In the CMS, when it was looked at", ours, before);

/** Undefined: the CMS did not say. */
export function heldNow(suggestion: Suggestion, now: CurrentWords | undefined): HTMLElement {
  const { ours } = suggestion;
  if (now === undefined) {
    const element = heldThen(suggestion);
    element.append(el("span", { class: "warn", text: "It could not be asked now." }));
    return element;
  }
  if (now.asset === "gone") return warning("The CMS has no such file any more.");
  if (now.asset === "replaced") {
    return warning("The file was replaced: these words are about the one before.");
  }
  const kept = allWords.filter((word) => ours[word] !== undefined && !now.writable.includes(word));
  const element = held("In the CMS now", ours, now.words);
  if (kept.length > 0) {
    const which = kept.map((word) => names[word]).join(" and ");
    element.append(el("span", { class: "warn", text: `The ${which} of others would stay.` }));
  }
  return element;
}

const warning = (text: string): HTMLElement =>
  el("p", { class: "held" }, el("span", { class: "warn", text }));

/** The fields that the suggestion has words for. */
function held(when: string, ours: Words, fields: Words): HTMLElement {
  const told = allWords
    .filter((word) => ours[word] !== undefined)
    .map((word) => ({ name: names[word], text: textOf(fields[word]) }));
  const filled = told.filter(({ text }) => text !== "");
  const what =
    filled.length === 0
      ? [el("span", { text: "nothing" })]
      : filled.map(({ name, text }) => el("span", {}, `${name} `, el("q", { text })));
  return el("p", { class: "held" }, el("span", { class: "when", text: `${when}:` }), ...what);
}

const textOf = (value: Words[Word]): string =>
  (typeof value === "string" ? value : (value ?? []).join(", ")).trim();
