// The frame in which the picture lies: takes one by file, address or sample, or one that was given to the page, and
// shows it.
import { byId, el, onSubmit } from "./dom.ts";
import type { Receiver } from "./given.ts";
import { isAddress, type PictureSource } from "./picture.ts";
import { pictureView, type PictureView } from "./picture-view.ts";
import { samples, type Sample } from "./samples.ts";

export type Chosen = (source: PictureSource, sample?: Sample) => void;

export function stage(chosen: Chosen): Receiver {
  const frame = byId("frame", HTMLElement);
  const view = byId("view", HTMLElement);
  const file = byId("file", HTMLInputElement);
  const url = byId("url", HTMLInputElement);
  const problem = byId("picture-problem", HTMLElement);
  const another = byId("another", HTMLButtonElement);
  let shown: PictureView | undefined;

  const take = (source: PictureSource, sample?: Sample): void => {
    problem.textContent = "";
    shown?.release();
    shown = pictureView(source, sample?.alt ?? (source.kind === "file" ? source.name : ""));
    view.replaceChildren(shown.element);
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

  return {
    take,
    refuse: () => tell("That was no picture."),
    over: (isOver) => void frame.classList.toggle("over", isOver),
  };
}
