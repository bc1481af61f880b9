// What is decided about a card, asked of the API and shown on it. What another person or the CMS decided meanwhile is
// found out when a decision is refused.
import type { Client } from "@blip2-edge/shared/client";
import type { GivenWords, Suggestion } from "@blip2-edge/shared/contracts/suggestions";
import { askApi } from "./ask-api.ts";
import { callApi } from "./call.ts";
import type { KeyBox } from "./key.ts";
import { wordsOf, type Card } from "./review-card.ts";

export interface ReviewActs {
  /** True when it was done. */
  accept(card: Card, words?: GivenWords): Promise<boolean>;
  reject(card: Card): Promise<boolean>;
  undo(card: Card): Promise<boolean>;
}

/** `over`: a card that waited waits no more. `said`: for who does not see it. */
export function reviewActs(
  key: KeyBox,
  { over, said }: { readonly over: () => void; readonly said: (words: string) => void },
): ReviewActs {
  async function decide(
    card: Card,
    wants: Suggestion["state"],
    outcome: string,
    ask: (client: Client, id: string) => Promise<Suggestion>,
  ): Promise<boolean> {
    const { id, state } = card.suggestion();
    if (state !== wants || card.isBusy()) return false;
    card.told.replaceChildren();
    card.busy(true);
    const called = await askApi(key, card.told, new AbortController().signal, (client) =>
      ask(client, id),
    );
    card.busy(false);
    const next = called?.answer ?? (await asItStands(id));
    if (next !== undefined && next.state !== state) {
      card.show(next);
      if (state === "open") over();
    }
    if (called !== undefined) said(`${outcome}: ${wordsOf(called.answer)}`);
    return called !== undefined;
  }

  /** Undefined: it cannot be learnt. */
  async function asItStands(id: string): Promise<Suggestion | undefined> {
    try {
      return (await callApi(key.value(), (client) => client.suggestionRead({ id }))).answer;
    } catch {
      return undefined;
    }
  }

  return {
    accept: (card, words = {}) =>
      decide(card, "open", "Written", (client, id) => client.suggestionAccept({ ...words, id })),
    reject: (card) =>
      decide(card, "open", "Rejected", (client, id) => client.suggestionReject({ id })),
    undo: (card) =>
      decide(card, "written", "Undone", (client, id) => client.suggestionUndo({ id })),
  };
}
