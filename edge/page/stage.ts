// The frame in which the picture lies: takes one by drop, paste, file, address or sample, and shows it. A picture
// behind an address is not shown: this page loads nothing from other hosts.
import { byId, el, onSubmit } from "./dom.ts";
import { isAddress, pictureIn, type PictureSource } from "./picture.ts";
import { samples, type Sample } from "./samples.ts";

export type Chosen = (source: PictureSource, sample?: Sample) => void;

export function stage(chosen: Chosen): void {
  const frame = byId("frame", HTMLElement);
  const view = byId("view", HTMLElement);
  const file = byId("file", HTMLInputElement);
  const url = byId("url", HTMLInputElement);
  const problem = byId("picture-problem", HTMLElement);
  const another = byId("another", HTMLButtonElement);
  let shown = "";

  const take = (source: PictureSource, sample?: Sample): void => {
    problem.textContent = "";
    URL.revokeObjectURL(shown);
    shown = source.kind === "file" ? URL.createObjectURL(source.file) : "";
    view.replaceChildren(
      source.kind === "file" ? pictureOf(shown, sample?.alt ?? source.name) : placeOf(source.url),
    );
    document.body.dataset["state"] = "picture";
    // What was pressed may be out of sight now; from here the next stop is the questions.
    another.focus({ preventScroll: true });
    chosen(source, sample);
  };
  const tell = (words: string): void => {
    problem.textContent = words;
  };

  for (const button of [byId("choose", HTMLButtonElement), another]) {
    button.addEventListener("click", () => file.click());
  }
  file.addEventListener("change", () => {
    const [first] = file.files ?? [];
    if (first !== undefined) take({ kind: "file", name: first.name, file: first });
    // So that the same file can be chosen again.
    file.value = "";
  });
  onSubmit(byId("url-form", HTMLFormElement), () => {
    const address = url.value.trim();
    if (!isAddress(address)) {
      tell("An address begins with http:// or https://.");
      return url.focus();
    }
    return take({ kind: "url", url: address });
  });

  // Dropped anywhere on the page, so that a near miss does not open the file instead.
  let depth = 0;
  const over = (change: number): void => {
    depth = Math.max(0, depth + change);
    frame.classList.toggle("over", depth > 0);
  };
  document.addEventListener("dragenter", () => over(1));
  document.addEventListener("dragleave", () => over(-1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    over(-depth);
    const source = pictureIn(event.dataTransfer);
    if (source === undefined) tell("That was no picture.");
    else take(source);
  });
  document.addEventListener("paste", (event) => {
    const isTyping =
      event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement;
    const source = pictureIn(event.clipboardData);
    // Text that is pasted into a field stays there.
    if (source === undefined || (isTyping && source.kind === "url")) return;
    event.preventDefault();
    take(source);
  });

  byId("samples", HTMLElement).replaceChildren(
    ...samples.map((sample) => {
      const button = el("button", { type: "button", class: "sample" });
      const thumb = el("img", { alt: sample.alt, width: "96", height: "96" });
      thumb.src = URL.createObjectURL(sample.file);
      button.append(thumb);
      const { name, file: blob } = sample;
      button.addEventListener("click", () => take({ kind: "file", name, file: blob }, sample));
      return el("li", {}, button);
    }),
  );
}

function pictureOf(address: string, alt: string): HTMLElement {
  const picture = el("img", { alt });
  picture.src = address;
  // A type that this browser does not draw may still be one that the Worker reads.
  picture.addEventListener(
    "error",
    () => picture.replaceWith(placeCard("Your browser does not show this type", alt)),
    { once: true },
  );
  return picture;
}

const placeOf = (url: string): HTMLElement =>
  placeCard("Fetched by the Worker, not by this page", new URL(url).host);

const placeCard = (why: string, what: string): HTMLElement =>
  el("div", { class: "elsewhere" }, el("p", { class: "what", text: what }), el("p", { text: why }));
