// Float32 rows -> block codes as com.microsoft.MatMulNBits reads them. Every block of a row has its scale
// and, where asked, its zero point; the last block is padded with zeros. Plain arithmetic in a fixed order:
// the same rows give the same bytes.
import type { Blocks } from "../artifact/precision.ts";

export interface BlockShape {
  /** In a row. */
  readonly blocks: number;
  /** Of the codes of one block. */
  readonly blockBytes: number;
  /** Of the zero points of one row. */
  readonly zeroPointBytes: number;
}

export function blockShape(columns: number, { bits, block }: Blocks): BlockShape {
  const blocks = Math.ceil(columns / block);
  return { blocks, blockBytes: (block * bits) / 8, zeroPointBytes: Math.ceil((blocks * bits) / 8) };
}

/** Row after row. */
export interface BlockCodes {
  /** u8 [rows, blocks, blockBytes]: 4-bit codes two a byte, the low half first. */
  readonly codes: Uint8Array;
  /** f32 [rows, blocks] */
  readonly scales: Float32Array;
  /** u8 [rows, zeroPointBytes], packed like the codes; empty where there are none. */
  readonly zeroPoints: Uint8Array;
}

/** Adding and taking away rounds to the nearest whole number, ties to even, for |x| < 2^51. */
const rounder = 1.5 * 2 ** 52;

/** What fits a block: code = round(weight / scale) + zero, cut to [0, top]. */
interface Fit {
  scale: number;
  zero: number;
}

/**
 * Cutting off a block's largest numbers a little often costs less than the finer step gains: how far the
 * 4-bit codes reach, in units of the block's range. At 8 bits a step is too fine for that to matter.
 */
const reaches: Readonly<Record<4 | 8, readonly number[]>> = {
  4: [1, 0.94, 0.88, 0.82, 1.06],
  8: [1],
};

/**
 * The scale with the least squared error among some. For whole numbers q = round(w / s) the best factor is
 * sum(w q) / sum(q q), and what it leaves is sum(w w) - sum(w q)^2 / sum(q q).
 */
function fitBlock(values: Float32Array, from: number, to: number, form: Blocks, fit: Fit): void {
  const { bits, zero_points: withZeroPoints } = form;
  const top = 2 ** bits - 1;
  const middle = 2 ** (bits - 1);
  let [low, high] = [0, 0]; // zero is always within: it stays zero
  for (let at = from; at < to; at += 1) {
    const value = values[at]!;
    if (value < low) low = value;
    else if (value > high) high = value;
  }
  fit.scale = 0;
  fit.zero = withZeroPoints ? 0 : middle;
  if (low === high) return;
  // Without zero points the codes reach one step further down than up: at 4 bits, where that counts, the
  // largest magnitude goes there, if need be by a negative scale.
  const step = withZeroPoints
    ? (high - low) / top
    : bits === 8
      ? Math.max(high, -low) / 127
      : (high > -low ? -high : -low) / middle;
  let best = -1;
  for (const reach of reaches[bits]) {
    const inverse = 1 / (step * reach);
    const zero = withZeroPoints ? -low / step + rounder - rounder : middle;
    const [least, most] = [-zero, top - zero];
    let cross = 0;
    let square = 0;
    for (let at = from; at < to; at += 1) {
      const value = values[at]!;
      let code = value * inverse + rounder - rounder;
      if (code < least) code = least;
      else if (code > most) code = most;
      cross += value * code;
      square += code * code;
    }
    const gain = (cross * cross) / square;
    if (gain <= best) continue;
    best = gain;
    fit.scale = cross / square;
    fit.zero = zero;
  }
}

/** Fills `target` with the codes of `values`, f32 [rows, columns]. */
export function quantizeBlocks(
  values: Float32Array,
  columns: number,
  form: Blocks,
  target: BlockCodes,
): void {
  const { bits, block, zero_points: withZeroPoints } = form;
  const { blocks, blockBytes, zeroPointBytes } = blockShape(columns, form);
  const { codes, scales, zeroPoints } = target;
  const rows = values.length / columns;
  const top = 2 ** bits - 1;
  const fit: Fit = { scale: 0, zero: 0 };
  codes.fill(0);
  zeroPoints.fill(0);
  for (let row = 0; row < rows; row += 1) {
    for (let index = 0; index < blocks; index += 1) {
      const from = row * columns + index * block;
      const to = Math.min(from + block, (row + 1) * columns);
      fitBlock(values, from, to, form, fit);
      // What the reader multiplies with is float32: the codes fit that.
      const scale = Math.fround(fit.scale);
      const inverse = scale === 0 ? 0 : 1 / scale;
      const { zero } = fit;
      scales[row * blocks + index] = scale;
      const start = (row * blocks + index) * blockBytes;
      for (let at = 0; at < block; at += 1) {
        // Beyond the row stands what reads as zero.
        const value = from + at < to ? values[from + at]! : 0;
        let code = value * inverse + rounder - rounder + zero;
        if (code < 0) code = 0;
        else if (code > top) code = top;
        if (bits === 8) codes[start + at] = code;
        else codes[start + (at >> 1)]! |= code << (4 * (at & 1));
      }
      if (!withZeroPoints) continue;
      if (bits === 8) zeroPoints[row * zeroPointBytes + index] = zero;
      else zeroPoints[row * zeroPointBytes + (index >> 1)]! |= zero << (4 * (index & 1));
    }
  }
}
