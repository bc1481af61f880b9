// Reads the small safetensors files of the goldens whole. The product's reader streams and refuses what
// it does not know; this one serves tests only.
import { readFile } from "node:fs/promises";

export interface GoldenTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Every F32 tensor of the file by name. */
export async function readGolden(path: string): Promise<ReadonlyMap<string, GoldenTensor>> {
  const bytes = new Uint8Array(await readFile(path));
  const headerBytes = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + headerBytes))) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const tensors = Object.entries(header).filter(([, { dtype }]) => dtype === "F32");
  return new Map(
    tensors.map(
      ([
        name,
        {
          shape,
          data_offsets: [begin, end],
        },
      ]) => {
        const start = 8 + headerBytes;
        return [
          name,
          { shape, data: new Float32Array(bytes.slice(start + begin, start + end).buffer) },
        ];
      },
    ),
  );
}
