// The picture that is searched with, if there is one: given to the page, or that of a hit. Taking one searches at once.
import type { ClientImage } from "@blip2-edge/shared/client";
import type { ImageId } from "@blip2-edge/shared/contracts/image";
import { byId } from "./dom.ts";
import { withImage, type Picture, type PictureSource } from "./picture.ts";
import { pictureView, type PictureView } from "./picture-view.ts";

export type QueryPicture =
  | { readonly kind: "given"; readonly picture: Picture; readonly name: string }
  | { readonly kind: "hit"; readonly imageId: ImageId; readonly name: string };

export interface QueryPictureBox {
  current(): QueryPicture | undefined;
  take(source: PictureSource): void;
  /** The picture of a hit, shown as the hit shows it. */
  takeHit(imageId: ImageId, name: string, element: HTMLElement): void;
  over(isOver: boolean): void;
}

/** Asks with the picture in the shortest form that works; without one, with undefined. */
export async function withQueryPicture<Answer>(
  picture: QueryPicture | undefined,
  ask: (image: ClientImage | undefined) => Promise<Answer>,
): Promise<Answer> {
  if (picture === undefined) return ask(undefined);
  if (picture.kind === "hit") return ask({ image_id: picture.imageId });
  return withImage(picture.picture, ask);
}

/** `changed` hears of another picture, or of none. */
export function queryPictureBox(changed: () => void): QueryPictureBox {
  const frame = byId("query-frame", HTMLElement);
  const atHand = byId("at-hand", HTMLElement);
  const view = byId("at-hand-view", HTMLElement);
  const label = byId("at-hand-name", HTMLElement);
  const invite = byId("query-invite", HTMLElement);
  const choose = byId("query-choose", HTMLButtonElement);
  const file = byId("query-file", HTMLInputElement);
  const keeping = byId("index-form", HTMLFormElement);
  let current: QueryPicture | undefined;
  let shown: PictureView | undefined;

  const show = (next: QueryPicture | undefined, element?: HTMLElement): void => {
    current = next;
    invite.hidden = next !== undefined;
    atHand.hidden = next === undefined;
    // What is found is indexed.
    keeping.hidden = next?.kind !== "given";
    label.textContent = next?.name ?? "";
    view.replaceChildren(...(element === undefined ? [] : [element]));
    changed();
  };
  const take = (source: PictureSource): void => {
    shown?.release();
    const name = source.kind === "file" ? source.name : source.url;
    shown = pictureView(source, name);
    show({ kind: "given", picture: { source, imageId: undefined }, name }, shown.element);
  };

  choose.addEventListener("click", () => file.click());
  file.addEventListener("change", () => {
    const [first] = file.files ?? [];
    if (first !== undefined) take({ kind: "file", name: first.name, file: first });
    file.value = "";
  });
  byId("at-hand-away", HTMLButtonElement).addEventListener("click", () => {
    show(undefined);
    choose.focus();
  });
  return {
    current: () => current,
    take,
    takeHit: (imageId, name, element) => show({ kind: "hit", imageId, name }, element),
    over: (isOver) => void frame.classList.toggle("over", isOver),
  };
}
