// Asks the API about the picture that is shown: in the shortest form of the picture, until another picture is chosen.
import type { Client, ClientImage } from "@blip2-edge/shared/client";
import type { ImageId } from "@blip2-edge/shared/contracts/image";
import { askApi } from "./ask-api.ts";
import type { Called } from "./call.ts";
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
      const called = await askApi(key, place, signal, (client) =>
        withImage(about, (image) => question(client, image, signal)),
      );
      if (called !== undefined) about.imageId = called.answer.image_id;
      return called;
    },
  };
}
