// One call of the API with the key that is set. What goes wrong is told where the answer would be.
import type { Client } from "@blip2-edge/shared/client";
import { AppError } from "@blip2-edge/shared/problem";
import { callApi, type Called } from "./call.ts";
import { el } from "./dom.ts";
import type { KeyBox } from "./key.ts";

/** Names the last call of a place: an earlier one that ends later does not end its waiting. */
let calls = 0;

/** Resolves with undefined when there is no answer; `place` then says why, or `signal` is aborted. */
export async function askApi<Answer>(
  key: KeyBox,
  place: HTMLElement,
  signal: AbortSignal,
  ask: (client: Client) => Promise<Answer>,
): Promise<Called<Answer> | undefined> {
  if (key.value() === "") {
    key.wanted("An API key is needed to ask.");
    tell(place, "Set an API key at the top of the page, then ask again.");
    return undefined;
  }
  const call = String((calls += 1));
  place.dataset["call"] = call;
  place.setAttribute("aria-busy", "true");
  try {
    const called = await callApi(key.value(), ask);
    return signal.aborted ? undefined : called;
  } catch (error) {
    if (signal.aborted) return undefined;
    if (error instanceof AppError && error.code === "unauthorized") {
      key.wanted("This key was not accepted.");
    }
    tell(place, wordsOf(error));
    return undefined;
  } finally {
    if (place.dataset["call"] === call) place.removeAttribute("aria-busy");
  }
}

const tell = (place: HTMLElement, words: string): void =>
  place.replaceChildren(el("p", { class: "problem", role: "alert", text: words }));

function wordsOf(error: unknown): string {
  if (!(error instanceof AppError)) return "This page failed. Reload it, please.";
  const { title } = error.kind;
  return error.detail === "" || error.detail === title ? `${title}.` : `${title}. ${error.detail}`;
}
