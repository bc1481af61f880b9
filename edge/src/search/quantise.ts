// Vectors as an index keeps them: 8 bits a number with one scale for each vector, and the average of a
// picture's vectors. Invariant: no number moves by more than half a step, 1/254 of its vector's largest.

/** `rows` vectors of `dim` numbers; number i of vector r is `scales[r] * codes[r * dim + i]`. */
export interface CodedVectors {
  readonly rows: number;
  readonly dim: number;
  readonly scales: Float32Array;
  readonly codes: Int8Array;
}

const largestCode = 127;

/** `values` row by row. Throws RangeError when they are not whole rows. */
export function quantise(values: Float32Array, dim: number): CodedVectors {
  const rows = values.length / dim;
  if (!Number.isInteger(rows)) throw new RangeError(`${values.length} values, not rows of ${dim}`);
  const scales = new Float32Array(rows);
  const codes = new Int8Array(values.length);
  for (let row = 0; row < rows; row++) {
    const begin = row * dim;
    let largest = 0;
    for (let at = begin; at < begin + dim; at++) largest = Math.max(largest, Math.abs(values[at]!));
    const scale = largest / largestCode;
    if (scale === 0) continue;
    scales[row] = scale;
    for (let at = begin; at < begin + dim; at++) {
      const code = Math.round(values[at]! / scale);
      codes[at] = Math.max(-largestCode, Math.min(largestCode, code));
    }
  }
  return { rows, dim, scales, codes };
}

/** Each row at length 1; a row of zeros stays. */
export function normalised(values: Float32Array, dim: number): Float32Array {
  const out = new Float32Array(values.length);
  for (let begin = 0; begin < values.length; begin += dim) {
    let sum = 0;
    for (let at = begin; at < begin + dim; at++) sum += values[at]! ** 2;
    const length = Math.sqrt(sum);
    if (length === 0) continue;
    for (let at = begin; at < begin + dim; at++) out[at] = values[at]! / length;
  }
  return out;
}

/** The average of the rows at length 1: one vector for a picture. */
export function averaged(values: Float32Array, dim: number): Float32Array {
  const sum = new Float32Array(dim);
  for (let at = 0; at < values.length; at++) sum[at % dim]! += values[at]!;
  return normalised(sum, dim);
}
