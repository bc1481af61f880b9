// Tags of a picture out of a site's own words: those that fit. Pure: the scores come from whoever asked for them.
import { captionTags } from "../search/caption-tags.ts";

/**
 * ITM (a probability) from which a label is a tag: when the caption names it too, and when it does not. A label is
 * true of few pictures, so that one score alone must be high (docs/decisions/0175).
 */
const minScores = { named: 0.5, unnamed: 0.98 } as const;

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
    .filter(({ score, named }) => score >= (named ? minScores.named : minScores.unnamed))
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
