// The tensors of a big model as a file of zeros that takes no room on the disk: what reads it is real, what
// it costs in memory too.
import { open } from "node:fs/promises";
import { tensorShapes } from "./tiny-checkpoint.ts";

/** Writes a safetensors file with every tensor of `config`; gives the bytes of its tensors. */
export async function writeSparseTensors(path: string, config: unknown): Promise<number> {
  const header: Record<string, unknown> = {};
  let end = 0;
  for (const [name, shape] of tensorShapes(config)) {
    const start = end;
    end += shape.reduce((product, size) => product * size, 4);
    header[name] = { dtype: "F32", shape, data_offsets: [start, end] };
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  await using file = await open(path, "w");
  await file.write(Buffer.concat([length, text]));
  await file.truncate(8 + text.length + end);
  return end;
}
