// Reviewing: words that models suggest for pictures of CMSs and that wait for a person. A card for each, page by page,
// the newest first; the rest of the parts are beside this file (review-*.ts).
import type { CurrentWords } from "@blip2-edge/shared/contracts/review";
import type { SuggestionList } from "@blip2-edge/shared/contracts/suggestions";
import { askApi } from "./ask-api.ts";
import { callApi } from "./call.ts";
import { byId, el } from "./dom.ts";
import type { KeyBox } from "./key.ts";
import { reviewActs } from "./review-acts.ts";
import { reviewBulk } from "./review-bulk.ts";
import { reviewCard, type Card, type CardActs } from "./review-card.ts";
import { liveCount } from "./review-count.ts";
import { reviewFilters, type Where } from "./review-filters.ts";
import { reviewKeys } from "./review-keys.ts";

export interface ReviewView {
  show(isShown: boolean): void;
  /** What waited for a key is done. */
  keyGiven(): void;
}

const cardsAtOnce = 24;
/** So long a card is the current one before the CMS is asked about it: who leafs through asks for nothing. */
const restMs = 250;

export function reviewView(key: KeyBox): ReviewView {
  const list = byId("waiting", HTMLOListElement);
  const told = byId("review-told", HTMLElement);
  const more = byId("review-more", HTMLButtonElement);
  const live = byId("review-said", HTMLElement);
  let [isShown, isFilled] = [false, false];
  let current = new AbortController();
  let cursor: string | undefined;
  let cards: readonly Card[] = [];
  let rest: ReturnType<typeof setTimeout> | undefined;

  const filters = reviewFilters(() => void load());
  const count = liveCount({
    key,
    isShown: () => isShown,
    connection: () => filters.where().connection,
    heard: filters.know,
    showNewer: () => void load().then(() => cards[0]?.element.focus()),
  });
  const acts = reviewActs(key, {
    over: () => count.decided(1),
    said: (words) => void (live.textContent = words),
  });
  /** Whoever was in the card goes on to the next one. */
  const thenGoOn = async (card: Card, act: () => Promise<boolean>): Promise<void> => {
    const wasIn = card.element.contains(document.activeElement);
    const isDone = await act();
    // What was pressed may be gone, and was disabled meanwhile.
    if (!wasIn) return;
    if (isDone) keys.goOn(card);
    else (card.element.querySelector<HTMLElement>("form textarea") ?? card.element).focus();
  };
  const cardActs: CardActs = {
    accept: (card, words) => void thenGoOn(card, () => acts.accept(card, words)),
    reject: (card) => void thenGoOn(card, () => acts.reject(card)),
    undo: (card) => void acts.undo(card).then(() => card.element.focus()),
    picked: () => bulk.refresh(),
    nameOf: filters.nameOf,
  };
  const bulk = reviewBulk({ cards: () => cards, accept: acts.accept, reject: acts.reject });
  const keys = reviewKeys({
    ...{ isShown: () => isShown, cards: () => cards, reached },
    ...{ accept: cardActs.accept, reject: cardActs.reject, undo: cardActs.undo },
    more: () => void goOn(),
  });

  /** What the CMS holds is asked about the card that is looked at. */
  function reached(card: Card): void {
    clearTimeout(rest);
    const { id, state } = card.suggestion();
    if (state !== "open") return;
    rest = setTimeout(() => {
      const asked = callApi(key.value(), (client) => client.suggestionCurrent({ id }));
      const tell = (now: CurrentWords | undefined): void => {
        if (card.suggestion().state === "open") card.holds(now);
      };
      asked.then(
        ({ answer }) => tell(answer),
        () => tell(undefined),
      );
    }, restMs);
  }

  async function load(): Promise<void> {
    current.abort();
    current = new AbortController();
    const { signal } = current;
    const where = filters.where();
    isFilled = key.value() !== "";
    cards = [];
    cursor = undefined;
    more.hidden = true;
    list.replaceChildren(...(isFilled ? ghosts() : []));
    list.setAttribute("aria-busy", "true");
    told.replaceChildren(...(isFilled ? ["Reading…"] : []));
    bulk.refresh();
    // The names of connections first: cards say them.
    await count.refresh(true);
    if (signal.aborted) return;
    const answer = await page(where, undefined, signal);
    if (signal.aborted) return;
    list.removeAttribute("aria-busy");
    list.replaceChildren();
    if (answer === undefined) {
      told.append(again());
      return;
    }
    told.replaceChildren(...(answer.suggestions.length === 0 ? nothing(where) : []));
    add(answer);
  }

  const page = async (
    { state, connection }: Where,
    from: string | undefined,
    signal: AbortSignal,
  ): Promise<SuggestionList | undefined> => {
    const asked = { state, connection, cursor: from, limit: cardsAtOnce };
    const called = await askApi(key, told, signal, (client) =>
      client.suggestionList(asked, { signal }),
    );
    return called?.answer;
  };

  function add(answer: SuggestionList): readonly Card[] {
    const fresh = answer.suggestions.map((suggestion) => reviewCard(suggestion, cardActs));
    cards = [...cards, ...fresh];
    cursor = answer.cursor;
    list.append(...fresh.map(({ element }) => element));
    more.hidden = cursor === undefined;
    bulk.refresh();
    return fresh;
  }

  async function goOn(): Promise<void> {
    if (cursor === undefined || more.disabled) return;
    more.disabled = true;
    const { signal } = current;
    const answer = await page(filters.where(), cursor, signal);
    more.disabled = false;
    if (answer === undefined || signal.aborted) return;
    told.replaceChildren();
    // The button may be gone, and what is new is what was asked for.
    add(answer)[0]?.element.focus();
  }

  function again(): HTMLElement {
    const button = el("button", { type: "button", class: "quiet", text: "Try again" });
    button.addEventListener("click", () => void load());
    return button;
  }
  more.addEventListener("click", () => void goOn());

  return {
    show(next) {
      isShown = next;
      if (isShown && !isFilled) void load();
    },
    keyGiven() {
      if (isShown) void load();
      else isFilled = false;
    },
  };
}

const ghosts = (): HTMLElement[] =>
  Array.from({ length: 3 }, () => el("li", { class: "card ghost", "aria-hidden": "true" }));

function nothing({ state, connection }: Where): HTMLElement[] {
  if (state !== "open") return [el("p", { text: "There are none here." })];
  const where = connection === undefined ? "" : " of this connection";
  return [
    el("p", { class: "voice", text: `Nothing${where} waits for review.` }),
    el("p", {
      text: "What a connection only suggests, or is not sure enough of, comes here. New words are shown as they come.",
    }),
  ];
}
