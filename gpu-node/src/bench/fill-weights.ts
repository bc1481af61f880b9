// What stands in the weights of a bench: the same numbers every time, others in every tensor. The runtime keeps one
// packed copy of weights that are equal to the byte, so that equal ones would be measured out of the caches
// (docs/decisions/0203). Time does not depend on them otherwise, as long as no product leaves the normal numbers; a
// test reads them back to check a product.
import { createHash } from "node:crypto";
import type { ExternalTensor } from "../onnx/graph.ts";
import { externalBytes } from "../onnx/external-data.ts";

/** Of the random numbers, which then repeat. */
const period = 1 << 16;
const scale = 1 / 64;

function patternOf({ name, type }: ExternalTensor): ArrayBufferView {
  const bytes = createHash("shake256", { outputLength: period }).update(name).digest();
  // In [scale, 2 * scale).
  if (name.endsWith(".scales")) return Float32Array.from(bytes, (byte) => scale * (1 + byte / 256));
  if (type !== "float32" && type !== "float16") return bytes;
  const floats = Float32Array.from(bytes, (byte) => byte / 128 - 1); // in [-1, 1)
  return type === "float16" ? Float16Array.from(floats) : floats;
}

/** The bytes of the tensor in pieces of at most some hundred kilobytes. */
export function* weightBytes(tensor: ExternalTensor): Generator<Uint8Array> {
  const { buffer, byteOffset, byteLength } = patternOf(tensor);
  const piece = new Uint8Array(buffer, byteOffset, byteLength);
  let left = externalBytes(tensor);
  for (; left > byteLength; left -= byteLength) yield piece;
  yield piece.subarray(0, left);
}
