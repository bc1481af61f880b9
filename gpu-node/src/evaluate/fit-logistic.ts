// From a score to the probability that a picture answers a text: a logistic curve (Platt 1999), fitted on
// pairs of which it is known. Invariant: it never changes an order among the pictures of one text.
import { probabilityOf, type Curve } from "@blip2-edge/shared/wire/calibration";

export type Logistic = Pick<Curve, "slope" | "intercept" | "log_words">;

export interface KnownPair {
  readonly score: number;
  /** Of the text; where all have as many, they decide nothing. */
  readonly words?: number;
  readonly answers: boolean;
}

const maxSteps = 100;
/** Keeps the curve finite where the pairs are wholly apart. */
const ridge = 1e-3;

/**
 * The curve of the greatest likelihood, by Newton's method on standardised scores, with Platt's softened
 * targets. Throws RangeError for pairs of one kind only, and where those that answer have the lower scores.
 */
export function fitLogistic(pairs: readonly KnownPair[]): Logistic {
  const yes = pairs.filter(({ answers }) => answers).length;
  const no = pairs.length - yes;
  if (yes === 0 || no === 0) throw new RangeError("pairs of both kinds are needed");
  const [high, low] = [(yes + 1) / (yes + 2), 1 / (no + 2)];
  const scores = standardised(pairs.map(({ score }) => score));
  const words = standardised(pairs.map((pair) => Math.log(pair.words ?? 1)));
  // Of score, words and the constant.
  const weights: [number, number, number] = [0, 0, 0];
  for (let step = 0; step < maxSteps; step++) {
    const gradient: [number, number, number] = [ridge * weights[0], ridge * weights[1], 0];
    let [ss, sw, s1, ww, w1, n] = [ridge, 0, 0, ridge, 0, 0];
    for (const [at, { answers }] of pairs.entries()) {
      const [s, w] = [scores.values[at]!, words.values[at]!];
      const linear = weights[0] * s + weights[1] * w + weights[2];
      const p = probabilityOf({ slope: 1, intercept: 0 }, linear);
      const error = p - (answers ? high : low);
      const weight = Math.max(p * (1 - p), 1e-9);
      gradient[0] += error * s;
      gradient[1] += error * w;
      gradient[2] += error;
      ss += weight * s * s;
      sw += weight * s * w;
      s1 += weight * s;
      ww += weight * w * w;
      w1 += weight * w;
      n += weight;
    }
    const by = solved(
      [
        [ss, sw, s1],
        [sw, ww, w1],
        [s1, w1, n],
      ],
      gradient,
    );
    // A long step overshoots where the curve is steep.
    const most = Math.max(1, ...by.map(Math.abs));
    for (const [at, each] of by.entries()) weights[at]! -= each / most;
    if (by.reduce((sum, each) => sum + Math.abs(each), 0) < 1e-10) break;
  }
  if (!(weights[0] > 0)) throw new RangeError("higher scores must answer more often");
  const [slope, logWords] = [weights[0] / scores.spread, weights[1] / words.spread];
  return {
    slope,
    intercept: weights[2] - slope * scores.mean - logWords * words.mean,
    ...(words.values.some((value) => value !== 0) ? { log_words: logWords } : {}),
  };
}

function standardised(values: readonly number[]) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  // Equal ones differ from their mean by what rounding leaves.
  if (variance < 1e-18) return { mean, spread: 1, values: values.map(() => 0) };
  const spread = Math.sqrt(variance);
  return { mean, spread, values: values.map((value) => (value - mean) / spread) };
}

type Row = [number, number, number];

/** Cramer's rule for a symmetric, positive matrix. */
function solved(matrix: readonly [Row, Row, Row], right: Row): Row {
  const [a, b, c] = matrix;
  const determinant = (x: Row, y: Row, z: Row): number =>
    x[0] * (y[1] * z[2] - y[2] * z[1]) -
    x[1] * (y[0] * z[2] - y[2] * z[0]) +
    x[2] * (y[0] * z[1] - y[1] * z[0]);
  const whole = determinant(a, b, c);
  const replaced = (column: 0 | 1 | 2): number => {
    const rows = [a, b, c].map((row, at): Row => {
      const copy: Row = [...row];
      copy[column] = right[at]!;
      return copy;
    });
    return determinant(rows[0]!, rows[1]!, rows[2]!) / whole;
  };
  return [replaced(0), replaced(1), replaced(2)];
}
