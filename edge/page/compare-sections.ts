// What texts fit the picture (match), and which of several labels it is (classify): lines in, bars out.
import type { Asker } from "./asker.ts";
import { bars, percent } from "./bars.ts";
import { byId, onSubmit } from "./dom.ts";
import { note } from "./note.ts";

export interface CompareSection {
  clear(suggestions: readonly string[]): void;
}

/** Each text once, in the order in which they came. */
const linesOf = (text: string, separator: RegExp): string[] => [
  ...new Set(
    text
      .split(separator)
      .map((line) => line.trim())
      .filter((line) => line !== ""),
  ),
];

const cosine = (value: number): string => `cosine ${value.toFixed(2)}`;

export function matchSection(asker: Asker): CompareSection {
  const input = byId("texts", HTMLTextAreaElement);
  const place = byId("matches", HTMLElement);
  const facts = byId("match-facts", HTMLElement);

  async function compare(texts: string[]): Promise<void> {
    facts.replaceChildren();
    const called = await asker.ask(place, (client, image, signal) =>
      client.match({ image, texts }, { signal }),
    );
    if (called === undefined) return;
    const { matches, model } = called.answer;
    const list = matches
      .toSorted((a, b) => (b.itm ?? 0) - (a.itm ?? 0))
      .map(({ text, itm = 0, itc = 0 }) => ({
        ...{ text, part: itm, said: percent(itm), more: cosine(itc) },
      }));
    place.replaceChildren(bars(list));
    facts.replaceChildren(note(called.facts, model));
  }

  onSubmit(byId("match-form", HTMLFormElement), () => {
    const texts = linesOf(input.value, /\n/);
    if (texts.length === 0) return input.focus();
    return void compare(texts);
  });
  return {
    clear(suggestions) {
      input.value = suggestions.join("\n");
      place.replaceChildren();
      facts.replaceChildren();
    },
  };
}

export function labelSection(asker: Asker): CompareSection {
  const input = byId("labels", HTMLInputElement);
  const place = byId("ranked", HTMLElement);
  const facts = byId("label-facts", HTMLElement);

  async function sort(labels: string[]): Promise<void> {
    facts.replaceChildren();
    const called = await asker.ask(place, (client, image, signal) =>
      client.classify({ image, labels }, { signal }),
    );
    if (called === undefined) return;
    const { labels: ranked, model } = called.answer;
    const list = ranked.map(({ label, score, itc }) => ({
      ...{ text: label, part: score, said: percent(score), more: cosine(itc) },
    }));
    place.replaceChildren(bars(list));
    facts.replaceChildren(note(called.facts, model));
  }

  onSubmit(byId("label-form", HTMLFormElement), () => {
    const labels = linesOf(input.value, /[,\n]/);
    if (labels.length === 0) return input.focus();
    return void sort(labels);
  });
  return {
    clear(suggestions) {
      input.value = suggestions.join(", ");
      place.replaceChildren();
      facts.replaceChildren();
    },
  };
}
