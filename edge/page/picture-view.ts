// A picture as this page may show it: a file is drawn, what is behind an address is only named, since the page loads
// nothing from other hosts.
import { el } from "./dom.ts";
import type { PictureSource } from "./picture.ts";

export interface PictureView {
  readonly element: HTMLElement;
  /** Lets go of the file. */
  release(): void;
}

export function pictureView(source: PictureSource, alt: string): PictureView {
  if (source.kind === "url") {
    const element = placeCard("Fetched by the Worker, not by this page", new URL(source.url).host);
    return { element, release() {} };
  }
  const address = URL.createObjectURL(source.file);
  const picture = el("img", { alt });
  picture.src = address;
  // A type that this browser does not draw may still be one that the Worker reads.
  picture.addEventListener(
    "error",
    () => picture.replaceWith(placeCard("Your browser does not show this type", alt)),
    { once: true },
  );
  return { element: picture, release: () => URL.revokeObjectURL(address) };
}

const placeCard = (why: string, what: string): HTMLElement =>
  el("div", { class: "elsewhere" }, el("p", { class: "what", text: what }), el("p", { text: why }));
