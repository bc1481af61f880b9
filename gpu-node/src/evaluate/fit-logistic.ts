// From a score to the probability that a picture answers a text: a logistic curve (Platt 1999) that also reads the
// text, fitted on pairs of which it is known. Invariant: it never changes an order among the pictures of one text.
import { probabilityOf } from "@blip2-edge/shared/wire/calibration";

export interface KnownText {
  /** What is known of the text itself; as many numbers for every text. */
  readonly features: ArrayLike<number>;
  readonly pairs: readonly { readonly score: number; readonly answers: boolean }[];
}

export interface Logistic {
  readonly slope: number;
  readonly intercept: number;
  /** Of each feature. */
  readonly weights: readonly number[];
}

const maxSteps = 60;
/** Keeps the curve finite where the pairs are wholly apart. */
const scoreRidge = 1e-3;
/** Keeps what texts have in common and drops what is one text's own. */
const featureRidge = 30;

/**
 * The curve of the greatest likelihood, by Newton's method on standardised numbers, with Platt's softened
 * targets. Throws RangeError for pairs of one kind only, and where those that answer have the lower scores.
 */
export function fitLogistic(texts: readonly KnownText[]): Logistic {
  const pairs = texts.flatMap((text) => text.pairs);
  const yes = pairs.filter(({ answers }) => answers).length;
  const no = pairs.length - yes;
  if (yes === 0 || no === 0) throw new RangeError("pairs of both kinds are needed");
  const [high, low] = [(yes + 1) / (yes + 2), 1 / (no + 2)];
  const count = texts[0]?.features.length ?? 0;
  const score = scaleOf(pairs.map((pair) => pair.score));
  const scales = Array.from({ length: count }, (_, at) =>
    scaleOf(texts.map(({ features }) => features[at] ?? NaN)),
  );
  // Of each text what does not change with the picture: its features and the constant.
  const rows = texts.map(({ features }) => [
    ...scales.map(({ mean, spread }, at) => ((features[at] ?? NaN) - mean) / spread),
    1,
  ]);
  const size = count + 2;
  const weights = new Float64Array(size);
  for (let step = 0; step < maxSteps; step += 1) {
    const gradient = weights.map((weight, at) => ridgeAt(at, size) * weight);
    const hessian = Array.from({ length: size }, (_, at) => {
      const row = new Float64Array(size);
      row[at] = ridgeAt(at, size);
      return row;
    });
    for (const [at, text] of texts.entries()) {
      const row = rows[at] ?? [];
      const own = row.reduce((sum, value, place) => sum + value * weights[place + 1]!, 0);
      let [error, weight, scoreWeight] = [0, 0, 0];
      for (const pair of text.pairs) {
        const s = (pair.score - score.mean) / score.spread;
        const p = probabilityOf({ slope: 1, intercept: 0 }, weights[0]! * s + own);
        const off = p - (pair.answers ? high : low);
        const bend = Math.max(p * (1 - p), 1e-9);
        gradient[0]! += off * s;
        hessian[0]![0]! += bend * s * s;
        error += off;
        weight += bend;
        scoreWeight += bend * s;
      }
      for (let one = 0; one < row.length; one += 1) {
        gradient[one + 1]! += error * row[one]!;
        hessian[0]![one + 1]! += scoreWeight * row[one]!;
        const line = hessian[one + 1]!;
        const part = weight * row[one]!;
        for (let other = one; other < row.length; other += 1)
          line[other + 1]! += part * row[other]!;
      }
    }
    const by = solved(hessian, gradient);
    // A long step overshoots where the curve is steep.
    const most = by.reduce((largest, each) => Math.max(largest, Math.abs(each)), 1);
    by.forEach((each, at) => (weights[at]! -= each / most));
    if (by.every((each) => Math.abs(each) < 1e-8)) break;
  }
  const [first = 0] = weights;
  if (!(first > 0)) throw new RangeError("higher scores must answer more often");
  const slope = first / score.spread;
  const ofFeatures = scales.map(({ spread }, at) => weights[at + 1]! / spread);
  return {
    slope,
    intercept:
      weights[size - 1]! -
      slope * score.mean -
      ofFeatures.reduce((sum, weight, at) => sum + weight * (scales[at]?.mean ?? 0), 0),
    weights: ofFeatures,
  };
}

/** The score comes first, the constant last. */
const ridgeAt = (at: number, size: number): number =>
  at === 0 ? scoreRidge : at === size - 1 ? 0 : featureRidge;

function scaleOf(values: readonly number[]): { readonly mean: number; readonly spread: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  // Equal ones differ from their mean by what rounding leaves.
  return { mean, spread: variance < 1e-18 ? 1 : Math.sqrt(variance) };
}

/** Cholesky's method; of the symmetric, positive matrix the upper half is read. */
function solved(upper: readonly Float64Array[], right: Float64Array): Float64Array {
  const size = right.length;
  const root = Array.from({ length: size }, () => new Float64Array(size));
  for (let row = 0; row < size; row += 1) {
    for (let column = 0; column <= row; column += 1) {
      let sum = upper[column]![row]!;
      for (let at = 0; at < column; at += 1) sum -= root[row]![at]! * root[column]![at]!;
      root[row]![column] =
        row === column ? Math.sqrt(Math.max(sum, 1e-12)) : sum / root[column]![column]!;
    }
  }
  const out = Float64Array.from(right);
  for (let row = 0; row < size; row += 1) {
    for (let at = 0; at < row; at += 1) out[row]! -= root[row]![at]! * out[at]!;
    out[row]! /= root[row]![row]!;
  }
  for (let row = size - 1; row >= 0; row -= 1) {
    for (let at = row + 1; at < size; at += 1) out[row]! -= root[at]![row]! * out[at]!;
    out[row]! /= root[row]![row]!;
  }
  return out;
}
