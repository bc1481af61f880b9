// How far one tensor is from another, in double precision.
import type { InnerTensor } from "../tensor/tensor.ts";

export interface Difference {
  /** 1 for tensors that are both zero; 0 when the artifact's holds NaN or infinity, or masks otherwise. */
  readonly cosine: number;
  /** Of the finite numbers. */
  readonly maxAbsError: number;
  /** `maxAbsError` in units of the reference's root mean square. */
  readonly relativeError: number;
}

/** What a mask adds in float32 is lower than this, in float16 lower than that; both forbid a look. */
const forbidden = { reference: -1e30, artifact: -1e4 };

/** A reference of zeros has no scale of its own. */
const smallestScale = 1e-30;

const numbersOf = ({ data }: InnerTensor): ArrayLike<number> =>
  data instanceof BigInt64Array ? Float64Array.from(data, Number) : data;

/** `subtrahend` is taken from both first: what a block adds to its input. */
export function compareTensors(
  reference: InnerTensor,
  artifact: InnerTensor,
  subtrahend?: InnerTensor,
): Difference {
  const [want, got] = [numbersOf(reference), numbersOf(artifact)];
  const less = subtrahend === undefined ? undefined : numbersOf(subtrahend);
  let [dot, wantSquares, gotSquares, maxAbsError, seen, unlike] = [0, 0, 0, 0, 0, 0];
  for (let at = 0; at < want.length; at += 1) {
    const from = less === undefined ? 0 : less[at]!;
    const a = want[at]! - from;
    const b = got[at]! - from;
    if (a < forbidden.reference) {
      if (!(b < forbidden.artifact)) unlike += 1;
      continue;
    }
    seen += 1;
    if (!Number.isFinite(a) || !Number.isFinite(b)) {
      unlike += 1;
      continue;
    }
    dot += a * b;
    wantSquares += a * a;
    gotSquares += b * b;
    maxAbsError = Math.max(maxAbsError, Math.abs(a - b));
  }
  const scale = Math.sqrt(wantSquares / Math.max(1, seen));
  const lengths = Math.sqrt(wantSquares) * Math.sqrt(gotSquares);
  const cosine = lengths === 0 ? Number(wantSquares === gotSquares) : dot / lengths;
  return {
    cosine: unlike > 0 ? 0 : Math.min(1, cosine),
    maxAbsError,
    relativeError: maxAbsError / Math.max(scale, smallestScale),
  };
}
