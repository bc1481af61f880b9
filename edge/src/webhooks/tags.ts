// Tags of a picture out of a site's own words: those that fit. Pure: the scores come from whoever asked for them.
import { captionTags } from "../search/caption-tags.ts";

/**
 * ITM from which a label is a tag that the caption does not name. It is true of few pictures, so the score must be
 * high; what the caption names needs none (docs/decisions/0175).
 */
const minScore = 0.98;

export interface ScoredLabel {
  readonly label: string;
  readonly score: number;
}

/** What the caption names first, then the best of the others. */
export function fittingLabels(
  caption: string,
  labels: readonly ScoredLabel[],
  max: number,
): string[] {
  const names = naming(caption);
  return labels
    .map((one) => ({ ...one, named: names(one.label) }))
    .filter(({ score, named }) => named || score >= minScore)
    .toSorted((a, b) => Number(b.named) - Number(a.named) || b.score - a.score)
    .slice(0, max)
    .map(({ label }) => label);
}

/** Labels that the caption names, where nobody can score them. */
export const labelsInCaption = (
  caption: string,
  labels: readonly string[],
  max: number,
): string[] => labels.filter(naming(caption)).slice(0, max);

/** Whether a caption has a label as whole words, of one thing or several. */
function naming(caption: string): (label: string) => boolean {
  const named = new Set(captionTags(caption));
  const said = ` ${caption.toLowerCase().replaceAll(/[^\p{L}\p{N}]+/gu, " ")} `;
  return (label) => {
    const plain = label.toLowerCase();
    return named.has(plain) || said.includes(` ${plain} `);
  };
}
