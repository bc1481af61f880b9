// Vectors as they travel and rest: float32, little endian, in base64, with their dimensions beside them.
// Nothing is rounded: what is read is bit for bit what was written.
import type { Embedding } from "./protocol.ts";

const valueBytes = 4;

/** `values` row by row. Throws RangeError when they are not as many as `dims` says. */
export function writeEmbedding(dims: readonly number[], values: ArrayLike<number>): Embedding {
  if (count(dims) !== values.length)
    throw new RangeError(`${values.length} values, not ${dims.join(" x ")}`);
  const view = new DataView(new ArrayBuffer(values.length * valueBytes));
  for (let index = 0; index < values.length; index++) {
    view.setFloat32(index * valueBytes, values[index]!, true);
  }
  let binary = "";
  for (const byte of new Uint8Array(view.buffer)) binary += String.fromCharCode(byte);
  return { dims: [...dims], data: btoa(binary) };
}

/** The values row by row, or undefined when they are not as many as `dims` says or not all finite. */
export function readEmbedding({ dims, data }: Embedding): Float32Array<ArrayBuffer> | undefined {
  const binary = atob(data);
  if (dims.some((dim) => dim < 1) || binary.length !== count(dims) * valueBytes) return undefined;
  const view = new DataView(Uint8Array.from(binary, (byte) => byte.charCodeAt(0)).buffer);
  const values = Float32Array.from({ length: count(dims) }, (_, index) =>
    view.getFloat32(index * valueBytes, true),
  );
  return values.every(Number.isFinite) ? values : undefined;
}

const count = (dims: readonly number[]): number => dims.reduce((product, dim) => product * dim, 1);
