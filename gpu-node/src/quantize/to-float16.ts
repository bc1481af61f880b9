// Float32 -> IEEE 754 binary16 by its bits, rounded to the nearest, ties to even, as the standard asks.

/** The largest half; from 65520 on, numbers round to infinity. */
export const maxHalf = 65504;

/** Fills `target` and gives the number of values that no half can hold: they become infinite. */
export function toFloat16(values: Float32Array, target: Uint16Array): number {
  const wide = new Uint32Array(values.buffer, values.byteOffset, values.length);
  let overflows = 0;
  for (let at = 0; at < wide.length; at += 1) {
    const bits = wide[at]!;
    const sign = (bits >>> 16) & 0x8000;
    const magnitude = bits & 0x7fffffff;
    let half: number;
    if (magnitude >= 0x47800000) {
      // 65536 and more
      half = 0x7c00;
    } else if (magnitude >= 0x38800000) {
      // At least 2^-14, the smallest normal half: the exponent moves by 112, 13 bits of fraction go.
      half = (magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13;
    } else if (magnitude > 0x33000000) {
      // A multiple of 2^-24: the fraction, its hidden one included, moves right.
      const shift = 126 - (magnitude >>> 23);
      const fraction = (magnitude & 0x7fffff) | 0x800000;
      const kept = fraction >>> shift;
      const lost = fraction & ((1 << shift) - 1);
      const middle = 1 << (shift - 1);
      half = kept + (lost > middle || (lost === middle && (kept & 1) === 1) ? 1 : 0);
    } else {
      half = 0; // 2^-25 and less: the tie goes to even
    }
    if (half >= 0x7c00) overflows += 1;
    target[at] = sign | half;
  }
  return overflows;
}
