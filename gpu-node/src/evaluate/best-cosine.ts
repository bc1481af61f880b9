/** ITC: the largest dot product of a row of `rows` [rows, dim] with `text` [dim]; all of length 1. */
export function bestCosine(rows: Float32Array, text: Float32Array): number {
  const dim = text.length;
  let best = -Infinity;
  for (let start = 0; start < rows.length; start += dim) {
    let dot = 0;
    for (let at = 0; at < dim; at += 1) dot += rows[start + at]! * text[at]!;
    best = Math.max(best, dot);
  }
  return best;
}
