// Tags of a picture out of a site's own words: those that fit. Pure: the scores come from whoever asked for them.
import { captionTags } from "../search/caption-tags.ts";

/** A label fits when more pictures with this score have it than have it not: ITM is a probability. */
const minScore = 0.5;

export interface ScoredLabel {
  readonly label: string;
  readonly score: number;
}

/** The best first. */
export const fittingLabels = (labels: readonly ScoredLabel[], max: number): string[] =>
  labels
    .filter(({ score }) => score >= minScore)
    .toSorted((a, b) => b.score - a.score)
    .slice(0, max)
    .map(({ label }) => label);

/** Labels that the caption names, where nobody can score them. */
export function labelsInCaption(caption: string, labels: readonly string[], max: number): string[] {
  const named = new Set(captionTags(caption));
  const said = ` ${caption.toLowerCase().replaceAll(/[^\p{L}\p{N}]+/gu, " ")} `;
  return labels
    .filter((label) => {
      const plain = label.toLowerCase();
      return named.has(plain) || said.includes(` ${plain} `);
    })
    .slice(0, max);
}
