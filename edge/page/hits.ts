// What was found, as a grid: each with its picture as far as the Worker gives one, its score, which stage decided, and
// what is said of it.
import type { SearchHit, SearchResponse, SearchStage } from "@blip2-edge/shared/contracts/search";
import { percent } from "./bars.ts";
import { el } from "./dom.ts";
import { thumbnail } from "./thumbnail.ts";

const stages: Readonly<Record<SearchStage, string>> = {
  mean: "by its averaged vector",
  max_similarity: "by its nearest vector",
  fusion: "by words and vectors together",
  itm: "judged by the matching head",
};

export type Scale = Pick<SearchResponse, "calibrated">;

/** A probability where scores are calibrated, else a similarity. */
export const scoreSaid = (score: number, { calibrated }: Scale): string =>
  calibrated ? percent(score) : score.toFixed(2);

/** `like` searches with the hit's picture. */
export function hitItem(hit: SearchHit, scale: Scale, like: () => void): HTMLLIElement {
  const { id, title, caption, score, scores, decided_by: stage, duplicate_of: twin } = hit;
  const name = title ?? caption ?? id;
  const label = `More like it: ${name}`;
  const more = el(
    "button",
    { type: "button", class: "quiet", "aria-label": label },
    "More like it",
  );
  more.addEventListener("click", like);
  const told = Object.entries(scores).flatMap(([of, value]) =>
    value === undefined ? [] : [`${of.replaceAll("_", " ")} ${value.toFixed(2)}`],
  );
  return el(
    "li",
    { class: "hit" },
    thumbnail(hit.thumbnail_url, name),
    el(
      "p",
      { class: "verdict" },
      el("b", { text: scoreSaid(score, scale) }),
      el("span", { text: stages[stage] }),
    ),
    ...(title === null ? [] : [el("p", { class: "title", text: title })]),
    ...(caption === null ? [] : [el("p", { class: "said", text: caption })]),
    el("p", { class: "fine", text: id }),
    el("p", { class: "fine", text: told.join(" · ") }),
    ...(twin === undefined
      ? []
      : [el("p", { class: "fine", text: `the same picture as ${twin}` })]),
    more,
  );
}
