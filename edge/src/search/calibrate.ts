// From a score to the probability that a picture answers a text: a logistic curve (Platt 1999), fitted on
// pairs of which it is known. Invariant: it never changes an order.

export interface Logistic {
  /** More than 0. */
  readonly slope: number;
  readonly intercept: number;
}

export const probabilityOf = ({ slope, intercept }: Logistic, score: number): number =>
  1 / (1 + Math.exp(-(slope * score + intercept)));

export interface KnownPair {
  readonly score: number;
  readonly answers: boolean;
}

const maxSteps = 100;
/** Keeps the curve finite where the pairs are wholly apart. */
const ridge = 1e-3;

/**
 * The curve of the greatest likelihood, by Newton's method on standardised scores, with Platt's softened
 * targets. Throws RangeError for pairs of one kind only.
 */
export function fitLogistic(pairs: readonly KnownPair[]): Logistic {
  const yes = pairs.filter(({ answers }) => answers).length;
  const no = pairs.length - yes;
  if (yes === 0 || no === 0) throw new RangeError("pairs of both kinds are needed");
  const mean = pairs.reduce((sum, { score }) => sum + score, 0) / pairs.length;
  const spread =
    Math.sqrt(pairs.reduce((sum, { score }) => sum + (score - mean) ** 2, 0) / pairs.length) || 1;
  const [high, low] = [(yes + 1) / (yes + 2), 1 / (no + 2)];
  let [slope, intercept] = [0, 0];
  for (let step = 0; step < maxSteps; step++) {
    let [g0, g1, h00, h01, h11] = [ridge * slope, 0, ridge, 0, 0];
    for (const { score, answers } of pairs) {
      const x = (score - mean) / spread;
      const p = probabilityOf({ slope, intercept }, x);
      const error = p - (answers ? high : low);
      const weight = Math.max(p * (1 - p), 1e-9);
      g0 += error * x;
      g1 += error;
      h00 += weight * x * x;
      h01 += weight * x;
      h11 += weight;
    }
    const determinant = h00 * h11 - h01 * h01;
    const [d0, d1] = [(h11 * g0 - h01 * g1) / determinant, (h00 * g1 - h01 * g0) / determinant];
    // A long step overshoots where the curve is steep.
    const most = Math.max(1, Math.abs(d0), Math.abs(d1));
    slope -= d0 / most;
    intercept -= d1 / most;
    if (Math.abs(d0) + Math.abs(d1) < 1e-10) break;
  }
  return { slope: slope / spread, intercept: intercept - (slope * mean) / spread };
}
