// Numbers beside texts as bars. The text and the number say it all; the bar is for the eye alone.
import { el } from "./dom.ts";

export interface Bar {
  readonly text: string;
  /** What the bar shows, 0 to 1, and how it is said. */
  readonly part: number;
  readonly said: string;
  /** A second number, said only. */
  readonly more: string;
}

export const percent = (part: number): string => `${(100 * part).toFixed(part < 0.0995 ? 1 : 0)} %`;

export function bars(list: readonly Bar[]): HTMLElement {
  return el(
    "ol",
    { class: "bars" },
    ...list.map(({ text, part, said, more }) => {
      const fill = el("span", { class: "fill" });
      fill.style.setProperty("inline-size", `${Math.max(0.5, Math.min(100, 100 * part))}%`);
      return el(
        "li",
        {},
        el("span", { class: "text", text }),
        el("span", { class: "value", text: said }),
        el("span", { class: "track", "aria-hidden": "true" }, fill),
        el("span", { class: "more", text: more }),
      );
    }),
  );
}
