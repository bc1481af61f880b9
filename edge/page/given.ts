// Pictures that are dropped or pasted, anywhere on the page, so that a near miss does not open the file instead.
import { pictureIn, type PictureSource } from "./picture.ts";

export interface Receiver {
  take(source: PictureSource): void;
  /** Something else was dropped. */
  refuse(): void;
  /** Something hangs over the page. */
  over(isOver: boolean): void;
}

/** What is given is the receiver's of that moment. */
export function onGiven(receiver: () => Receiver): void {
  let depth = 0;
  const over = (change: number): void => {
    depth = Math.max(0, depth + change);
    receiver().over(depth > 0);
  };
  document.addEventListener("dragenter", () => over(1));
  document.addEventListener("dragleave", () => over(-1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    over(-depth);
    const source = pictureIn(event.dataTransfer);
    if (source === undefined) receiver().refuse();
    else receiver().take(source);
  });
  document.addEventListener("paste", (event) => {
    const isTyping =
      event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement;
    const source = pictureIn(event.clipboardData);
    // Text that is pasted into a field stays there.
    if (source === undefined || (isTyping && source.kind === "url")) return;
    event.preventDefault();
    receiver().take(source);
  });
}
