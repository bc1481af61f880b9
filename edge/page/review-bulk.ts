// Several cards at once: which are selected, and what is done with them, a few at a time.
import { byId } from "./dom.ts";
import type { Card } from "./review-card.ts";

export interface ReviewBulk {
  /** Ticks were set or taken away, or other cards are shown. */
  refresh(): void;
}

export interface BulkActs {
  readonly cards: () => readonly Card[];
  readonly accept: (card: Card) => Promise<boolean>;
  readonly reject: (card: Card) => Promise<boolean>;
}

/** A CMS is asked for each. */
const atOnce = 4;

export function reviewBulk({ cards, accept, reject }: BulkActs): ReviewBulk {
  const bar = byId("bulk", HTMLElement);
  const count = byId("bulk-count", HTMLElement);
  const all = byId("pick-all", HTMLInputElement);
  const buttons = [
    [byId("bulk-accept", HTMLButtonElement), accept, "written"],
    [byId("bulk-reject", HTMLButtonElement), reject, "rejected"],
  ] as const;
  const clear = byId("bulk-clear", HTMLButtonElement);
  let isWorking = false;

  const open = (): Card[] => cards().filter((card) => card.suggestion().state === "open");
  const picked = (): Card[] => open().filter((card) => card.isPicked());
  const pickAll = (isPicked: boolean): void => open().forEach((card) => card.pick(isPicked));

  const refresh = (): void => {
    const chosen = picked().length;
    all.disabled = open().length === 0;
    all.checked = chosen > 0 && chosen === open().length;
    all.indeterminate = chosen > 0 && !all.checked;
    if (isWorking) return;
    bar.hidden = chosen === 0;
    for (const [button] of buttons) button.disabled = false;
    if (chosen > 0) count.textContent = `${chosen} selected`;
  };

  async function run(act: (card: Card) => Promise<boolean>, outcome: string): Promise<void> {
    const chosen = picked();
    isWorking = true;
    for (const [button] of buttons) button.disabled = true;
    let [next, done, good] = [0, 0, 0];
    const work = async (): Promise<void> => {
      for (let card = chosen[next++]; card !== undefined; card = chosen[next++]) {
        if (await act(card)) good += 1;
        else card.pick(false);
        done += 1;
        count.textContent = `${done} of ${chosen.length}`;
      }
    };
    await Promise.all(Array.from({ length: atOnce }, work));
    const left = chosen.length - good;
    count.textContent = left === 0 ? `${good} ${outcome}` : `${good} ${outcome}, ${left} not`;
    isWorking = false;
    // The bar tells what came of it until something else is selected.
    clear.focus();
  }

  for (const [button, act, outcome] of buttons) {
    button.addEventListener("click", () => void run(act, outcome));
  }
  clear.addEventListener("click", () => {
    pickAll(false);
    refresh();
    all.focus();
  });
  all.addEventListener("change", () => pickAll(all.checked));
  return { refresh };
}
