// One suggestion as a card: the picture, the words for it, why they wait, what the CMS holds, and what may be done.
// Words are a model's, names a CMS's: all of them are set as text.
import type { CurrentWords } from "@blip2-edge/shared/contracts/review";
import type { GivenWords, Suggestion } from "@blip2-edge/shared/contracts/suggestions";
import { percent } from "./bars.ts";
import { el } from "./dom.ts";
import { editForm } from "./review-edit.ts";
import { heldNow, heldThen } from "./review-held.ts";
import { thumbnail } from "./thumbnail.ts";

export interface CardActs {
  accept(card: Card, words?: GivenWords): void;
  reject(card: Card): void;
  undo(card: Card): void;
  /** Its tick was set or taken away. */
  picked(): void;
  nameOf(connectionId: string): string;
}

export interface Card {
  readonly element: HTMLLIElement;
  /** Where is said what went wrong with it. */
  readonly told: HTMLElement;
  suggestion(): Suggestion;
  /** From here on it stands like this. */
  show(suggestion: Suggestion): void;
  /** What the CMS holds now; undefined: it did not say. */
  holds(now: CurrentWords | undefined): void;
  edit(): void;
  isPicked(): boolean;
  pick(isPicked: boolean): void;
  /** Something is being done with it. */
  isBusy(): boolean;
  busy(isBusy: boolean): void;
}

const outcomes: Readonly<Record<Suggestion["state"], string>> = {
  open: "",
  written: "Written into the CMS",
  rejected: "Rejected",
  undone: "Undone: what stood there before stands there again",
  superseded: "Over: the file or its words changed meanwhile",
};
const dates = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });
const minus = (value: number): string => value.toFixed(2).replace("-", "−");

export const wordsOf = ({ ours }: Suggestion): string => ours.alt ?? ours.caption ?? "(no words)";
const fileOf = ({ file_name: name, asset_id: id }: Suggestion): string => name ?? id;

export function reviewCard(given: Suggestion, acts: CardActs): Card {
  let suggestion = given;
  let isBusy = false;
  const file = fileOf(given);
  const box = el("input", { type: "checkbox", "aria-label": `Select ${file}` });
  box.addEventListener("change", acts.picked);
  const pick = el("label", { class: "pick" }, box);
  const content = el("div", { class: "content" });
  const told = el("div");
  const picture = thumbnail(given.thumbnail_url, file);
  const element = el(
    "li",
    { class: "card corners", tabindex: "-1", "aria-labelledby": `words-${given.id}` },
    el("div", { class: "look" }, picture, pick),
    el("div", { class: "side" }, content, told),
  );

  const button = (name: string, key: string, act: () => void, isQuiet = true): HTMLElement => {
    const made = el("button", { type: "button", "aria-keyshortcuts": key, text: name });
    if (isQuiet) made.classList.add("quiet");
    made.addEventListener("click", act);
    return made;
  };
  const actions = (): HTMLElement[] => {
    if (suggestion.state === "open") {
      return [
        button("Accept", "a", () => acts.accept(card), false),
        button("Edit", "e", () => card.edit()),
        button("Reject", "r", () => acts.reject(card)),
      ];
    }
    return suggestion.state === "written" ? [button("Undo", "u", () => acts.undo(card))] : [];
  };
  const render = (): void => {
    const isOpen = suggestion.state === "open";
    element.classList.toggle("done", !isOpen);
    pick.hidden = !isOpen;
    if (!isOpen) card.pick(false);
    content.replaceChildren(
      el("p", { class: "about" }, ...about(suggestion, acts.nameOf(suggestion.connection))),
      ...saidIn(suggestion),
      ...(isOpen
        ? [el("p", { class: "why", text: whyOf(suggestion) }), heldThen(suggestion)]
        : [el("p", { class: "outcome", text: outcomeOf(suggestion) })]),
      el("p", { class: "fine", text: scoresOf(suggestion) }),
      el("div", { class: "acts" }, ...actions()),
    );
  };

  const card: Card = {
    ...{ element, told },
    suggestion: () => suggestion,
    show(next) {
      suggestion = next;
      render();
    },
    holds(now) {
      content.querySelector(".held")?.replaceWith(heldNow(suggestion, now));
    },
    edit() {
      if (suggestion.state !== "open" || isBusy) return;
      const back = (): void => {
        render();
        element.focus();
      };
      const form = editForm(suggestion, (words) => acts.accept(card, words), back);
      content.querySelector(".acts")?.replaceWith(form);
      form.querySelector<HTMLElement>("textarea, input")?.focus({ preventScroll: true });
      form.scrollIntoView({ block: "nearest" });
    },
    isPicked: () => box.checked,
    pick(isPicked) {
      box.checked = isPicked;
      acts.picked();
    },
    isBusy: () => isBusy,
    busy(next) {
      isBusy = next;
      for (const each of content.querySelectorAll("button")) each.disabled = next;
    },
  };
  render();
  return card;
}

function about(suggestion: Suggestion, connection: string): HTMLElement[] {
  const { created_at: at } = suggestion;
  return [
    el("b", { text: fileOf(suggestion) }),
    el("span", { text: connection }),
    el("time", { datetime: at, text: dates.format(new Date(at)) }),
  ];
}

function saidIn(suggestion: Suggestion): HTMLElement[] {
  const { id, ours, original } = suggestion;
  const words = wordsOf(suggestion);
  const { caption, tags } = ours;
  return [
    el("p", { class: "voice small", id: `words-${id}`, text: words }),
    ...(typeof caption === "string" && caption !== words
      ? [el("p", { class: "said", text: caption })]
      : []),
    ...(typeof original?.alt === "string" && original.alt !== words
      ? [el("p", { class: "held" }, "The model said", el("q", { text: original.alt }))]
      : []),
    ...(tags === undefined || tags === null || tags.length === 0
      ? []
      : [el("ul", { class: "tags" }, ...tags.map((tag) => el("li", { text: tag })))]),
  ];
}

const whyOf = ({ detail }: Suggestion): string => detail ?? "The connection only suggests.";

function outcomeOf({ state, decided_at: at }: Suggestion): string {
  const when = at === null ? "" : `, ${dates.format(new Date(at))}`;
  return `${outcomes[state]}${when}`;
}

const scoresOf = ({ itm, log_prob: logProb, model }: Suggestion): string =>
  [
    itm === null ? "match not asked" : `match ${percent(itm)}`,
    `log-probability ${minus(logProb)}`,
    model,
  ].join(" · ");
