// The caption: asked for as soon as there is a picture, shown as it is written.
import type { CaptionResponse } from "@blip2-edge/shared/contracts/caption";
import type { Asker } from "./asker.ts";
import type { CallFacts } from "./call.ts";
import { byId, el } from "./dom.ts";
import { note } from "./note.ts";

export interface CaptionSection {
  run(): void;
}

export function captionSection(asker: Asker): CaptionSection {
  const place = byId("caption", HTMLElement);
  const below = byId("caption-facts", HTMLElement);

  async function write(before: CallFacts | undefined): Promise<void> {
    const voice = el("p", { class: "voice writing" });
    place.replaceChildren(voice);
    below.replaceChildren();
    const called = await asker.ask(place, async (client, image, signal) => {
      let told: CaptionResponse | undefined;
      for await (const event of client.streams.caption({ image }, { signal })) {
        if (event.event === "text") voice.append(event.text);
        else told = event.result;
      }
      if (told === undefined) throw new Error("a stream without a result");
      return told;
    });
    if (called === undefined) return;
    const { answer, facts } = called;
    voice.textContent = answer.text === "" ? "(nothing)" : answer.text;
    voice.classList.remove("writing");
    const again = (): void => void write(facts);
    below.replaceChildren(note(facts, answer.model, { isOpen: true, before, again }));
    byId("small-world", HTMLElement).hidden = !/^nano\b/.test(answer.model);
  }

  return { run: () => void write(undefined) };
}
