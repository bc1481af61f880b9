// Tags of a picture: those of the site's own words that fit, or, where it gives none, the words of its caption.
// Pure: the scores come from whoever asked for them.

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

/** Words that say nothing by themselves, of captions in English. */
const empty = new Set(
  (
    "a about above across after against along an and another are around as at background be behind below beside " +
    "between both but by close each filled five for four from front full group has have her him his holding image " +
    "in inside into is it its large lot lots many near next no of off on one onto or other out outside over pair " +
    "photo picture scene seven shown side sitting six small some standing that the their them there these they " +
    "this those three through to together top two under up very view was were which while who with without"
  ).split(" "),
);

/** In the order in which the caption names them. */
export function wordsOfCaption(text: string, max: number): string[] {
  const words = text.toLowerCase().match(/\p{L}[\p{L}\p{N}'-]*/gu) ?? [];
  return [...new Set(words.filter((word) => word.length > 1 && !empty.has(word)))].slice(0, max);
}

/** Labels that the caption names, where nobody can score them. */
export function labelsInCaption(text: string, labels: readonly string[], max: number): string[] {
  const said = ` ${text.toLowerCase().replaceAll(/[^\p{L}\p{N}]+/gu, " ")} `;
  return labels.filter((label) => said.includes(` ${label.toLowerCase()} `)).slice(0, max);
}
