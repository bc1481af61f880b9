// Whether a label's score tells that it is true of a picture: the curve, and the cut-off where precision and recall
// are best together. Judged: fitted on half of the pictures and half of the labels, on the other half of both.
import type { Curve, TextFacts } from "@blip2-edge/shared/wire/calibration";
import { meanOf, type Estimate } from "./standard-error.ts";
import { cutAt, fitTextCurve, probabilities } from "./text-curve.ts";

export interface ScoredLabel {
  readonly facts: TextFacts;
  /** Of each picture. */
  readonly scores: readonly number[];
  readonly isTrue: readonly boolean[];
}

export interface FittedLabels {
  /** Fitted on everything. */
  readonly curve: Curve;
  /** Of the labels at or above the cut-off those that are true, and of the true ones those. */
  readonly precision: Estimate;
  readonly recall: Estimate;
}

/** Throws RangeError where every label is true of every picture, or none of any. */
export function fitLabels(labels: readonly ScoredLabel[]): FittedLabels {
  const [fitted, judged] = [0, 1].map((half) =>
    labels.flatMap(({ facts, scores, isTrue }, label) =>
      label % 2 === half
        ? [
            {
              facts,
              scores: scores.filter((_, picture) => picture % 2 === half),
              isTrue: isTrue.filter((_, picture) => picture % 2 === half),
            },
          ]
        : [],
    ),
  );
  const half = fit(fitted ?? []);
  const taken = (judged ?? []).flatMap((label) =>
    probabilities(half, textOf(label)).map((p, at) => ({
      isTaken: p >= half.min_score,
      isTrue: label.isTrue[at] === true,
    })),
  );
  const share = (values: readonly boolean[]): Estimate =>
    meanOf(values.map((value) => (value ? 1 : 0)));
  return {
    curve: fit(labels),
    precision: share(taken.filter(({ isTaken }) => isTaken).map(({ isTrue }) => isTrue)),
    recall: share(taken.filter(({ isTrue }) => isTrue).map(({ isTaken }) => isTaken)),
  };
}

const textOf = ({ facts, scores, isTrue }: ScoredLabel) => ({
  facts,
  pairs: scores.map((score, at) => ({ score, answers: isTrue[at] === true })),
});

function fit(labels: readonly ScoredLabel[]): Curve {
  const texts = labels.map(textOf);
  const curve = fitTextCurve(texts);
  const scored = texts.flatMap((text) =>
    probabilities(curve, text).map((p, at) => ({ p, isTrue: text.pairs[at]?.answers === true })),
  );
  return { ...curve, min_score: cutAt(bestCut(scored)) };
}

/** The probability from which labels are taken so that F1 is the greatest. */
function bestCut(scored: readonly { readonly p: number; readonly isTrue: boolean }[]): number {
  const ordered = scored.toSorted((a, b) => b.p - a.p);
  const truths = ordered.filter(({ isTrue }) => isTrue).length;
  let [hits, best, cut] = [0, -1, 1];
  for (const [at, { p, isTrue }] of ordered.entries()) {
    if (isTrue) hits += 1;
    // Of equal ones all are taken or none.
    if (ordered[at + 1]?.p === p) continue;
    const f1 = (2 * hits) / (at + 1 + truths);
    if (f1 > best) [best, cut] = [f1, p];
  }
  return cut;
}
