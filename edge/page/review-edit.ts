// Other words in place of the suggested ones: a form in the card, which gives those that were changed.
import {
  maxCaptionLength,
  type GivenWords,
  type Suggestion,
} from "@blip2-edge/shared/contracts/suggestions";
import { el, onSubmit } from "./dom.ts";

const most = { alt: 1000, caption: maxCaptionLength, tag: 64, tags: 50 } as const;
const countOf = (text: string): string => {
  const count = Array.from(text.trim()).length;
  return count === 1 ? "1 character" : `${count} characters`;
};
const tagsIn = (text: string): string[] => [
  ...new Set(
    text
      .split(",")
      .map((tag) => tag.trim().slice(0, most.tag))
      .filter((tag) => tag !== ""),
  ),
];

export function editForm(
  { id, ours }: Suggestion,
  done: (words: GivenWords) => void,
  cancel: () => void,
): HTMLFormElement {
  const read: (() => GivenWords | undefined)[] = [];
  const rows: HTMLElement[] = [];
  for (const word of ["alt", "caption"] as const) {
    const before = ours[word];
    if (before === undefined) continue;
    const field = area(`${word}-${id}`, before ?? "", most[word]);
    rows.push(row(word === "alt" ? "Alt text" : "Caption", field), counter(field));
    read.push(() => {
      const text = field.value.trim();
      if (text === (before ?? "")) return {};
      if (text !== "") return word === "alt" ? { alt: text } : { caption: text };
      // What is not to be written at all is rejected.
      field.focus();
      return undefined;
    });
  }
  if (ours.tags !== undefined) {
    const before = (ours.tags ?? []).join(", ");
    const field = el("input", { id: `tags-${id}`, type: "text", autocomplete: "off" });
    field.value = before;
    rows.push(row("Tags, separated by commas", field));
    read.push(() => {
      const tags = tagsIn(field.value).slice(0, most.tags);
      return tags.join(", ") === before ? {} : { tags };
    });
  }
  const away = el("button", { type: "button", class: "quiet", text: "Cancel" });
  away.addEventListener("click", cancel);
  const form = el(
    "form",
    { class: "edit" },
    ...rows,
    el(
      "div",
      { class: "acts" },
      el("button", { type: "submit", text: "Accept these words" }),
      away,
    ),
  );
  onSubmit(form, () => {
    const words: GivenWords = {};
    for (const each of read) {
      const changed = each();
      if (changed === undefined) return;
      Object.assign(words, changed);
    }
    done(words);
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") cancel();
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
    else return;
    event.preventDefault();
  });
  return form;
}

function area(id: string, text: string, maxLength: number): HTMLTextAreaElement {
  const field = el("textarea", { id, rows: "2", maxlength: String(maxLength), required: true });
  field.value = text;
  return field;
}

const row = (name: string, field: HTMLElement): HTMLElement =>
  el("div", { class: "row" }, el("label", { for: field.id, text: name }), field);

function counter(field: HTMLTextAreaElement): HTMLElement {
  const place = el("p", { class: "fine", text: countOf(field.value) });
  field.addEventListener("input", () => void (place.textContent = countOf(field.value)));
  return place;
}
