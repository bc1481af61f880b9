// The curve and the cut-off of one stage of a search, fitted on one half of the texts and judged on the other.
import { probabilityOf, type Curve } from "@blip2-edge/shared/wire/calibration";
import type { Found } from "./compare-search.ts";
import { fitLogistic } from "./fit-logistic.ts";
import { meanOf, type Estimate } from "./standard-error.ts";

export interface FoundByText extends Found {
  /** Of the text. */
  readonly words: number;
}

export interface FittedStage {
  readonly curve: Curve;
  /** Of the other half: texts whose best hit is right and below the cut-off. */
  readonly refused: Estimate;
  /** Texts whose answers are not there and whose best hit is below it. */
  readonly noMatch: Estimate;
}

/** The cut-off lies where so many of the texts it was fitted on would be refused. */
const refusedShare = 1 / 30;

/** Throws RangeError where all texts are answered wrongly, or nothing that is wrong can be found. */
export function fitStage(found: readonly FoundByText[]): FittedStage {
  // By twos: files of captions and shorter texts in turn would otherwise be split by their kind.
  const inHalf = (half: number) => found.filter((_, index) => Math.floor(index / 2) % 2 === half);
  const [fit, judge] = [inHalf(0), inHalf(1)];
  const fitted = fitLogistic(
    fit.flatMap(({ score, isRight, wrong, words }) => [
      { score, words, answers: isRight },
      ...(wrong === undefined ? [] : [{ score: wrong, words, answers: false }]),
    ]),
  );
  const curve = {
    slope: rounded(fitted.slope),
    intercept: rounded(fitted.intercept),
    ...(fitted.log_words === undefined ? {} : { log_words: rounded(fitted.log_words) }),
  };
  const ofRight = (half: readonly FoundByText[]): number[] =>
    half
      .filter(({ isRight }) => isRight)
      .map(({ score, words }) => probabilityOf(curve, score, words));
  const ofWrong = judge.flatMap(({ wrong, words }) =>
    wrong === undefined ? [] : [probabilityOf(curve, wrong, words)],
  );
  const right = ofRight(fit).toSorted((a, b) => a - b);
  // Rounded down, so that the text on the cut-off stays.
  const cut = Math.floor((right[Math.floor(right.length * refusedShare)] ?? 0) * 1000) / 1000;
  const below = (scores: readonly number[]): Estimate =>
    meanOf(scores.map((score) => (score < cut ? 1 : 0)));
  return {
    curve: { ...curve, min_score: cut },
    refused: below(ofRight(judge)),
    noMatch: below(ofWrong),
  };
}

const rounded = (value: number): number => Number(value.toFixed(3));
