// Stored numbers (F32, F16, BF16, little endian) -> float32. Exact: every half-precision number is a
// float32. Hosts are little endian, as everything that Node runs ONNX Runtime on.
import type { Dtype } from "./safetensors-header.ts";

export type FloatDtype = Extract<Dtype, "F32" | "F16" | "BF16">;
export const floatDtypeBytes: Record<FloatDtype, number> = { F32: 4, F16: 2, BF16: 2 };
export const isFloatDtype = (dtype: Dtype): dtype is FloatDtype =>
  Object.hasOwn(floatDtypeBytes, dtype);

/** The float32 of every half (IEEE 754 binary16), by its bits. */
const halves = (() => {
  const table = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits += 1) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >> 10) & 0x1f;
    const fraction = bits & 0x3ff;
    table[bits] =
      exponent === 0
        ? sign * fraction * 2 ** -24
        : exponent === 31
          ? fraction === 0
            ? sign * Infinity
            : NaN
          : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  return table;
})();

/** `source.length` must be `target.length` numbers of `dtype`, aligned to their size. */
export function toFloat32(source: Uint8Array, dtype: FloatDtype, target: Float32Array): void {
  if (source.length !== target.length * floatDtypeBytes[dtype]) {
    throw new Error(`${source.length} bytes are not ${target.length} numbers of ${dtype}`);
  }
  if (dtype === "F32") {
    target.set(new Float32Array(source.buffer, source.byteOffset, target.length));
    return;
  }
  const bits = new Uint16Array(source.buffer, source.byteOffset, target.length);
  if (dtype === "F16") {
    for (let at = 0; at < bits.length; at += 1) target[at] = halves[bits[at]!]!;
    return;
  }
  const wide = new Uint32Array(target.buffer, target.byteOffset, target.length);
  for (let at = 0; at < bits.length; at += 1) wide[at] = bits[at]! << 16;
}

/** How many of `values` are NaN or infinite. */
export function countNonFinite(values: Float32Array): number {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  let count = 0;
  for (let at = 0; at < bits.length; at += 1) {
    if ((bits[at]! & 0x7f800000) === 0x7f800000) count += 1;
  }
  return count;
}
