// What stands in the weights of a bench: the same numbers every time. Time does not depend on them, as long as no
// product leaves the normal numbers; a test reads them back to check a product.
import type { ExternalTensor } from "../onnx/graph.ts";
import { externalBytes } from "../onnx/external-data.ts";

/** Of the random numbers, which then repeat. */
const period = 1 << 16;
const scale = 1 / 64;

/** A linear congruential generator: 32 bits, the upper ones good enough for weights. */
function* randomBytes(): Generator<number, never> {
  for (let state = 12_345; ;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state >>> 24;
  }
}

const bytes = Uint8Array.from(
  { length: period },
  (
    (random) => () =>
      random.next().value
  )(randomBytes()),
);
/** In [-1, 1). */
const floats = Float32Array.from(bytes, (byte) => byte / 128 - 1);

function patternOf({ name, type }: ExternalTensor): ArrayBufferView {
  if (name.endsWith(".scales")) return new Float32Array(period).fill(scale);
  if (type === "float32") return floats;
  if (type === "float16") return Float16Array.from(floats);
  return bytes;
}

/** The bytes of the tensor in pieces of at most some hundred kilobytes. */
export function* weightBytes(tensor: ExternalTensor): Generator<Uint8Array> {
  const { buffer, byteOffset, byteLength } = patternOf(tensor);
  const piece = new Uint8Array(buffer, byteOffset, byteLength);
  let left = externalBytes(tensor);
  for (; left > byteLength; left -= byteLength) yield piece;
  yield piece.subarray(0, left);
}
