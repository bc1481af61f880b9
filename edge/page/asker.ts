// Asks the API about the picture that is shown: with the key that is set, in the shortest form of the picture,
// until another picture is chosen. What goes wrong is told where the answer would be.
import type { Client, ClientImage } from "@blip2-edge/shared/client";
import type { ImageId } from "@blip2-edge/shared/contracts/image";
import { AppError } from "@blip2-edge/shared/problem";
import { callApi, type Called } from "./call.ts";
import { el } from "./dom.ts";
import type { KeyBox } from "./key.ts";
import { withImage, type Picture } from "./picture.ts";

export interface AboutPicture {
  readonly image_id: ImageId;
}
export type Question<Answer> = (
  client: Client,
  image: ClientImage,
  signal: AbortSignal,
) => Promise<Answer>;

export interface Asker {
  /** Resolves with undefined when there is no answer; `place` then says why, or a new picture has come. */
  ask<Answer extends AboutPicture>(
    place: HTMLElement,
    question: Question<Answer>,
  ): Promise<Called<Answer> | undefined>;
  /** From here on it is about this picture; what was asked about the one before ends. */
  show(picture: Picture): void;
}

export function createAsker(key: KeyBox): Asker {
  let picture: Picture | undefined;
  let current = new AbortController();

  return {
    show(next) {
      current.abort();
      current = new AbortController();
      picture = next;
    },
    async ask(place, question) {
      const { signal } = current;
      const about = picture;
      if (about === undefined) return undefined;
      if (key.value() === "") {
        key.wanted("An API key is needed to ask.");
        tell(place, "Set an API key at the top of the page, then ask again.");
        return undefined;
      }
      place.setAttribute("aria-busy", "true");
      try {
        const called = await callApi(key.value(), (client) =>
          withImage(about, (image) => question(client, image, signal)),
        );
        about.imageId = called.answer.image_id;
        return signal.aborted ? undefined : called;
      } catch (error) {
        if (signal.aborted) return undefined;
        if (error instanceof AppError && error.code === "unauthorized") {
          key.wanted("This key was not accepted.");
        }
        tell(place, wordsOf(error));
        return undefined;
      } finally {
        place.removeAttribute("aria-busy");
      }
    },
  };
}

const tell = (place: HTMLElement, words: string): void =>
  place.replaceChildren(el("p", { class: "problem", role: "alert", text: words }));

function wordsOf(error: unknown): string {
  if (!(error instanceof AppError)) return "This page failed. Reload it, please.";
  const { title } = error.kind;
  return error.detail === "" || error.detail === title ? `${title}.` : `${title}. ${error.detail}`;
}
