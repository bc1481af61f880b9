// The curve and the cut-off of one stage of a search. Judged: fitted on one half of the texts, on the other half.
import { probabilityOf, type Curve, type TextFacts } from "@blip2-edge/shared/wire/calibration";
import type { Found } from "./compare-search.ts";
import { meanOf, type Estimate } from "./standard-error.ts";
import { cutAt, fitTextCurve } from "./text-curve.ts";

export interface FoundByText extends Found {
  readonly facts: TextFacts;
  /** False of a text that no picture of the set answers. */
  readonly isAnswered: boolean;
}

export interface FittedStage {
  /** Fitted on all texts. */
  readonly curve: Curve;
  /** Texts whose best hit is right and below the cut-off. */
  readonly refused: Estimate;
  /** Texts, asked without their answers, whose best hit is below it. */
  readonly noMatch: Estimate;
  /** The same of texts that nothing answers; undefined where there are none. */
  readonly unanswered: Estimate | undefined;
}

/** The cut-off lies where so many of the texts it was fitted on would be refused. */
const refusedShare = 1 / 30;

/** Throws RangeError where all texts are answered wrongly, or nothing that is wrong can be found. */
export function fitStage(found: readonly FoundByText[]): FittedStage {
  // By twos: files of captions and shorter texts in turn would otherwise be split by their kind.
  const inHalf = (half: number) => found.filter((_, index) => Math.floor(index / 2) % 2 === half);
  const judge = inHalf(1);
  const half = fit(inHalf(0));
  const below = (scores: readonly number[]): Estimate =>
    meanOf(scores.map((score) => (score < half.min_score ? 1 : 0)));
  const ofWrong = (of: boolean): readonly number[] =>
    judge.flatMap(({ isAnswered, wrong, facts }) =>
      isAnswered !== of || wrong === undefined ? [] : [probabilityOf(half, wrong, facts)],
    );
  return {
    curve: fit(found),
    refused: below(ofRight(half, judge)),
    noMatch: below(ofWrong(true)),
    unanswered: ofWrong(false).length === 0 ? undefined : below(ofWrong(false)),
  };
}

function fit(found: readonly FoundByText[]): Curve {
  const curve = fitTextCurve(
    found.map(({ facts, isAnswered, score, isRight, wrong }) => ({
      facts,
      pairs: [
        // Of a text that nothing answers the best hit is the best wrong one.
        ...(isAnswered ? [{ score, answers: isRight }] : []),
        ...(wrong === undefined ? [] : [{ score: wrong, answers: false }]),
      ],
    })),
  );
  const right = ofRight(curve, found).toSorted((a, b) => a - b);
  return { ...curve, min_score: cutAt(right[Math.floor(right.length * refusedShare)] ?? 0) };
}

const ofRight = (
  curve: Omit<Curve, "min_score">,
  found: readonly FoundByText[],
): readonly number[] =>
  found
    .filter(({ isRight }) => isRight)
    .map(({ score, facts }) => probabilityOf(curve, score, facts));
