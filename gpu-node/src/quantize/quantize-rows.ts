// Float32 rows -> codes of 8 bits with one scale a row, after a rotation of their columns: what matMulRows of
// onnx/ops.ts reads. Rotating both sides of a product changes nothing but where rounding falls: an outlier is
// spread over its group (QuaRot, Ashkboos et al. 2024). Plain arithmetic in a fixed order.

export interface RowCodes {
  /** i8 [rows, columns] */
  readonly codes: Int8Array;
  /** f32 [rows] */
  readonly scales: Float32Array;
}

/** Adding and taking away rounds to the nearest whole number, ties to even, for |x| < 2^51. */
const rounder = 1.5 * 2 ** 52;
const top = 127;

/**
 * Multiplies every `size` numbers of [from, to) by the Hadamard matrix after Sylvester whose rows have length 1.
 * `size`: a power of two that divides them.
 */
export function rotate(values: Float64Array, from: number, to: number, size: number): void {
  for (let span = 1; span < size; span *= 2) {
    for (let start = from; start < to; start += 2 * span) {
      for (let at = start; at < start + span; at += 1) {
        const [one, other] = [values[at]!, values[at + span]!];
        values[at] = one + other;
        values[at + span] = one - other;
      }
    }
  }
  const length = Math.sqrt(size);
  for (let at = from; at < to; at += 1) values[at] = values[at]! / length;
}

/** `values`: whole rows of `columns` numbers. */
export function quantizeRows(
  values: Float32Array,
  columns: number,
  rotation: number,
  { codes, scales }: RowCodes,
): void {
  const row = new Float64Array(columns);
  for (let index = 0; index < scales.length; index += 1) {
    const first = index * columns;
    row.set(values.subarray(first, first + columns));
    rotate(row, 0, columns, rotation);
    let reach = 0;
    for (let at = 0; at < columns; at += 1) reach = Math.max(reach, Math.abs(row[at]!));
    const scale = Math.fround(reach / top);
    scales[index] = scale;
    for (let at = 0; at < columns; at += 1) {
      const code = scale === 0 ? 0 : row[at]! / scale + rounder - rounder;
      codes[first + at] = Math.max(-top, Math.min(top, code));
    }
  }
}
