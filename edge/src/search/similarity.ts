// How like a query is to a picture: by the nearest of the picture's query vectors, as BLIP-2's contrastive
// score has it (Li et al. 2023, section 3.2), and for a picture by the mean of that over its own vectors.
import type { CodedVectors } from "./quantise.ts";

/** From a place in each on. Four sums side by side: one would wait for itself at every number. */
export function dot(
  query: Float32Array,
  from: number,
  codes: Int8Array,
  begin: number,
  dim: number,
): number {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let at = 0;
  for (const end = dim - 3; at < end; at += 4) {
    a += query[from + at]! * codes[begin + at]!;
    b += query[from + at + 1]! * codes[begin + at + 1]!;
    c += query[from + at + 2]! * codes[begin + at + 2]!;
    d += query[from + at + 3]! * codes[begin + at + 3]!;
  }
  for (; at < dim; at++) a += query[from + at]! * codes[begin + at]!;
  return a + b + c + d;
}

/** The cosine of one vector with the nearest of several; all of length 1. */
export function maxSimilarity(
  query: Float32Array,
  { rows, dim, scales, codes }: CodedVectors,
  from = 0,
): number {
  let best = -Infinity;
  for (let row = 0; row < rows; row++) {
    best = Math.max(best, scales[row]! * dot(query, from, codes, row * dim, dim));
  }
  return best;
}

/** `queries` row by row: the mean of the nearest ones' cosines. Not symmetric. */
export function pictureSimilarity(queries: Float32Array, picture: CodedVectors): number {
  const rows = queries.length / picture.dim;
  let sum = 0;
  for (let row = 0; row < rows; row++) sum += maxSimilarity(queries, picture, row * picture.dim);
  return sum / rows;
}
