// Whether a label's score tells that it is true of a picture: the curve and the cut-off where precision and recall
// are best together, fitted on one half of the pictures and judged on the other.
import { probabilityOf, type Curve } from "@blip2-edge/shared/wire/calibration";
import { fitLogistic } from "./fit-logistic.ts";
import { meanOf, type Estimate } from "./standard-error.ts";

export interface ScoredLabel {
  readonly picture: number;
  readonly score: number;
  readonly isTrue: boolean;
}

export interface FittedLabels {
  readonly curve: Curve;
  readonly cut: number;
  /** Of the other half: of the labels at or above the cut-off those that are true, and of the true ones those. */
  readonly precision: Estimate;
  readonly recall: Estimate;
}

/** Throws RangeError where every label is true of every picture, or none of any. */
export function fitLabels(scored: readonly ScoredLabel[]): FittedLabels {
  const [fit, judge] = [0, 1].map((half) => scored.filter(({ picture }) => picture % 2 === half));
  const pairs = (fit ?? []).map(({ score, isTrue }) => ({ score, answers: isTrue }));
  const curve = fitLogistic(pairs);
  const cut = bestCut(fit ?? []);
  const share = (of: readonly ScoredLabel[], is: (one: ScoredLabel) => boolean): Estimate =>
    meanOf(of.map((one) => (is(one) ? 1 : 0)));
  const judged = judge ?? [];
  return {
    curve: {
      slope: Number(curve.slope.toFixed(3)),
      intercept: Number(curve.intercept.toFixed(3)),
      // Rounded down, so that the label on the cut-off stays.
      min_score: Math.floor(probabilityOf(curve, cut) * 1000) / 1000,
    },
    cut,
    precision: share(
      judged.filter(({ score }) => score >= cut),
      ({ isTrue }) => isTrue,
    ),
    recall: share(
      judged.filter(({ isTrue }) => isTrue),
      ({ score }) => score >= cut,
    ),
  };
}

/** The score from which labels are taken so that F1 is the greatest. */
function bestCut(scored: readonly ScoredLabel[]): number {
  const ordered = scored.toSorted((a, b) => b.score - a.score);
  const truths = ordered.filter(({ isTrue }) => isTrue).length;
  let [hits, best, cut] = [0, -1, Infinity];
  for (const [at, { score, isTrue }] of ordered.entries()) {
    if (isTrue) hits += 1;
    // Of equal scores all are taken or none.
    if (ordered[at + 1]?.score === score) continue;
    const f1 = (2 * hits) / (at + 1 + truths);
    if (f1 > best) [best, cut] = [f1, score];
  }
  return cut;
}
