// The thumbnail that the Worker keeps of a picture, or its name in a frame where there is none (any more).
import { el } from "./dom.ts";

/** What is said of it stands beside it, so it needs no words of its own. */
export function thumbnail(link: string | undefined, name: string): HTMLElement {
  const none = (): HTMLElement =>
    el("div", { class: "thumb none corners", "aria-hidden": "true" }, el("span", { text: name }));
  const address = ownAddress(link);
  if (address === undefined) return none();
  const picture = el("img", { alt: "", loading: "lazy", decoding: "async" });
  picture.src = address;
  const frame = el("div", { class: "thumb" }, picture);
  // Its link may have expired, or the picture is gone.
  picture.addEventListener("error", () => frame.replaceWith(none()), { once: true });
  return frame;
}

/** Of this Worker alone: the page loads nothing from other hosts. */
function ownAddress(link: string | undefined): string | undefined {
  if (link === undefined || !URL.canParse(link, location.href)) return undefined;
  const { origin, href } = new URL(link, location.href);
  return origin === location.origin ? href : undefined;
}
