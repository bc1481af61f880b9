// The review by keyboard: one card is the current one, which keys move and act on. Letters act only while the tick
// beside them is set, and never where somebody types (WCAG 2.1.4).
import { byId } from "./dom.ts";
import type { Card } from "./review-card.ts";

export interface ReviewKeys {
  /** Goes on to the next card that waits; stays where there is none. */
  goOn(from: Card): void;
}

export interface KeyActs {
  readonly isShown: () => boolean;
  readonly cards: () => readonly Card[];
  readonly accept: (card: Card) => void;
  readonly reject: (card: Card) => void;
  readonly undo: (card: Card) => void;
  /** A card became the current one. */
  readonly reached: (card: Card) => void;
  /** There is no card behind the last one. */
  readonly more: () => void;
}

export function reviewKeys(acts: KeyActs): ReviewKeys {
  const list = byId("waiting", HTMLOListElement);
  const on = byId("keys-on", HTMLInputElement);
  const { cards } = acts;
  let current: Card | undefined;

  const reach = (card: Card | undefined): void => {
    if (card === undefined) return;
    card.element.focus({ preventScroll: true });
    card.element.scrollIntoView({ block: "nearest" });
  };
  const step = (by: 1 | -1): void => {
    const at = current === undefined ? -1 : cards().indexOf(current);
    const next = cards()[Math.max(0, at + by)];
    if (next === undefined) acts.more();
    else reach(next);
  };
  const onCurrent = (act: (card: Card) => void) => (): void => {
    if (current !== undefined && cards().includes(current)) act(current);
  };
  const letters: Readonly<Record<string, () => void>> = {
    j: () => step(1),
    k: () => step(-1),
    a: onCurrent(acts.accept),
    e: onCurrent((card) => card.edit()),
    r: onCurrent(acts.reject),
    u: onCurrent(acts.undo),
    x: onCurrent((card) => card.pick(card.suggestion().state === "open" && !card.isPicked())),
  };
  const arrows: Readonly<Record<string, () => void>> = {
    ArrowDown: () => step(1),
    ArrowUp: () => step(-1),
  };

  list.addEventListener("focusin", (event) => {
    const card = cards().find(({ element }) => element.contains(event.target as Node));
    if (card === undefined || card === current) return;
    current?.element.removeAttribute("aria-current");
    card.element.setAttribute("aria-current", "true");
    current = card;
    acts.reached(card);
  });
  document.addEventListener("keydown", (event) => {
    if (!acts.isShown() || event.ctrlKey || event.metaKey || event.altKey) return;
    if (isTyping(event.target)) return;
    const inList = list.contains(document.activeElement);
    const act =
      (inList ? arrows[event.key] : undefined) ?? (on.checked ? letters[event.key] : undefined);
    if (act === undefined) return;
    event.preventDefault();
    act();
  });

  return {
    goOn(from) {
      const at = cards().indexOf(from);
      const isOpen = (card: Card): boolean => card.suggestion().state === "open";
      reach(
        cards()
          .slice(at + 1)
          .find(isOpen) ??
          cards().slice(0, at).findLast(isOpen) ??
          from,
      );
    },
  };
}

const isTyping = (target: EventTarget | null): boolean =>
  target instanceof HTMLTextAreaElement ||
  target instanceof HTMLSelectElement ||
  (target instanceof HTMLInputElement && target.type !== "checkbox");
