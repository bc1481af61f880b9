// Questions about the picture, one after the other, the last on top, each answer shown as it is written.
import type { Answer as VqaAnswer, VqaResponse } from "@blip2-edge/shared/contracts/vqa";
import type { Asker } from "./asker.ts";
import { byId, el, onSubmit } from "./dom.ts";
import { note } from "./note.ts";

export interface AskSection {
  clear(suggestions: readonly string[]): void;
}

export function askSection(asker: Asker): AskSection {
  const form = byId("ask-form", HTMLFormElement);
  const input = byId("question", HTMLInputElement);
  const list = byId("answers", HTMLOListElement);
  const offers = byId("questions", HTMLElement);

  async function answer(question: string): Promise<void> {
    const voice = el("p", { class: "voice small writing" });
    const place = el("div", { role: "status" }, voice);
    const item = el("li", {}, el("p", { class: "question", text: question }), place);
    list.prepend(item);
    const called = await asker.ask(place, async (client, image, signal) => {
      let told: (VqaResponse & VqaAnswer) | undefined;
      for await (const event of client.streams.vqa({ image, question }, { signal })) {
        if (event.event === "text") voice.append(event.text);
        else if ("answer" in event.result) told = event.result;
      }
      if (told === undefined) throw new Error("a stream without a result");
      return told;
    });
    if (called === undefined) return;
    voice.textContent = called.answer.answer === "" ? "(nothing)" : called.answer.answer;
    voice.classList.remove("writing");
    item.append(note(called.facts, called.answer.model));
  }

  onSubmit(form, () => {
    const question = input.value.trim();
    if (question === "") return input.focus();
    input.value = "";
    return void answer(question);
  });

  return {
    clear(suggestions) {
      list.replaceChildren();
      offers.replaceChildren(
        ...suggestions.map((question) => {
          const offer = el("button", { type: "button", class: "chip", text: question });
          offer.addEventListener("click", () => void answer(question));
          return el("li", {}, offer);
        }),
      );
    },
  };
}
