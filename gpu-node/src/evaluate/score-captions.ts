// All figures of a set of captions, each with its standard error, and each caption's own.
import { addBleuCounts, bleuOf, bleuSums, countBleu } from "./bleu.ts";
import { ciderOf } from "./cider.ts";
import { rougeLOf } from "./rouge-l.ts";
import { bootstrap, type Estimate } from "./standard-error.ts";
import { tokenizeCaption } from "./tokenize-caption.ts";

export interface CaptionToScore {
  readonly caption: string;
  readonly references: readonly string[];
}

export const captionMetrics = ["CIDEr", "BLEU-4", "BLEU-3", "BLEU-2", "BLEU-1", "ROUGE-L"] as const;
export type CaptionMetric = (typeof captionMetrics)[number];

export interface CaptionScores {
  readonly corpus: Readonly<Record<CaptionMetric, Estimate>>;
  /** In the order of the captions. */
  readonly each: readonly { readonly cider: number; readonly rougeL: number }[];
}

/** CIDEr on its own scale of 0 to 10; papers print a hundred times the mean. */
export function scoreCaptions(captions: readonly CaptionToScore[]): CaptionScores {
  const texts = captions.map(({ caption, references }) => ({
    candidate: tokenizeCaption(caption),
    references: references.map(tokenizeCaption),
  }));
  const cider = ciderOf(texts);
  const rougeL = texts.map(({ candidate, references }) => rougeLOf(candidate, references));
  const counts = texts.map(({ candidate, references }) => countBleu(candidate, references));

  const measure = (places: ArrayLike<number>): readonly number[] => {
    const sums = bleuSums();
    let [ciderSum, rougeSum] = [0, 0];
    for (let at = 0; at < places.length; at += 1) {
      const place = places[at]!;
      addBleuCounts(sums, counts[place]!);
      ciderSum += cider[place]!;
      rougeSum += rougeL[place]!;
    }
    return [...bleuOf(sums), ciderSum / places.length, rougeSum / places.length];
  };
  const values = measure(captions.map((_, at) => at));
  const errors = bootstrap(captions.length, measure);
  const estimate = (figure: number): Estimate => ({
    value: values[figure] ?? NaN,
    standardError: errors[figure] ?? NaN,
  });
  return {
    corpus: {
      CIDEr: estimate(4),
      "BLEU-4": estimate(3),
      "BLEU-3": estimate(2),
      "BLEU-2": estimate(1),
      "BLEU-1": estimate(0),
      "ROUGE-L": estimate(5),
    },
    each: cider.map((score, at) => ({ cider: score, rougeL: rougeL[at] ?? NaN })),
  };
}
