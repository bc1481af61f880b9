// A curve that reads the text as well as the score, from a fit and back.
import { probabilityOf, type Curve, type TextFacts } from "@blip2-edge/shared/wire/calibration";
import { fitLogistic, type KnownText } from "./fit-logistic.ts";

export interface ScoredText {
  readonly facts: TextFacts;
  readonly pairs: KnownText["pairs"];
}

/** Without its cut-off. Throws RangeError as `fitLogistic` does. */
export function fitTextCurve(texts: readonly ScoredText[]): Omit<Curve, "min_score"> {
  const fitted = fitLogistic(
    texts.map(({ facts: { words, vector }, pairs }) => ({
      features: [Math.log(words), ...Array.from(vector)],
      pairs,
    })),
  );
  const [logWords = 0, ...ofVector] = fitted.weights;
  return {
    slope: rounded(fitted.slope),
    intercept: rounded(fitted.intercept),
    log_words: rounded(logWords),
    text: ofVector.map(rounded),
  };
}

/** A probability as a cut-off: rounded down, so that what lies on it stays. */
export const cutAt = (probability: number): number => Math.floor(probability * 1000) / 1000;

export const probabilities = (
  curve: Omit<Curve, "min_score">,
  { facts, pairs }: ScoredText,
): number[] => pairs.map(({ score }) => probabilityOf(curve, score, facts));

const rounded = (value: number): number => Number(value.toFixed(3));
