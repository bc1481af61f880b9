// Writes float tensors as one safetensors file (8-byte little-endian header length, JSON header,
// data). Writing only: reading foreign files is the build wing's checkpoint/. A file appears under its
// name complete or not at all.
import { rename, rm, writeFile } from "node:fs/promises";
import type { FloatTensor } from "./tensor.ts";

const headerAlignment = 8;

/** The bytes of a safetensors file with `tensors` in the given order. */
export function encodeSafetensors(tensors: Readonly<Record<string, FloatTensor>>): Uint8Array {
  const header: Record<string, unknown> = {};
  let offset = 0;
  for (const [name, tensor] of Object.entries(tensors)) {
    const end = offset + tensor.data.byteLength;
    header[name] = { dtype: "F32", shape: [...tensor.dims], data_offsets: [offset, end] };
    offset = end;
  }
  const json = JSON.stringify(header);
  // Spaces after the JSON keep the data aligned, as the format allows.
  const padded = json.padEnd(Math.ceil(json.length / headerAlignment) * headerAlignment, " ");
  const headerBytes = new TextEncoder().encode(padded);
  const bytes = new Uint8Array(8 + headerBytes.length + offset);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(headerBytes.length), true);
  bytes.set(headerBytes, 8);
  let position = 8 + headerBytes.length;
  for (const { data } of Object.values(tensors)) {
    for (let index = 0; index < data.length; index += 1, position += 4) {
      view.setFloat32(position, data[index]!, true);
    }
  }
  return bytes;
}

/** Writes beside `path` first and renames, so that a reader never sees half a file. */
export async function writeSafetensors(
  path: string,
  tensors: Readonly<Record<string, FloatTensor>>,
  signal?: AbortSignal,
): Promise<void> {
  const temporary = `${path}.partial`;
  try {
    await writeFile(temporary, encodeSafetensors(tensors), signal === undefined ? {} : { signal });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
