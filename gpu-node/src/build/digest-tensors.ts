// Reads stored tensors without writing anything: their digests, and whether two are the same.
import { createHash } from "node:crypto";
import type { Checkpoint } from "../checkpoint/open-checkpoint.ts";
import type { TensorEntry } from "../checkpoint/safetensors-header.ts";
import type { Plan } from "./tensor-plan.ts";

const chunkBytes = 4 * 1024 * 1024;

/** The tensor's bytes in pieces; each piece is overwritten by the next. */
async function* readPieces(
  checkpoint: Checkpoint,
  entry: TensorEntry,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(Math.min(chunkBytes, entry.bytes));
  for (let done = 0; done < entry.bytes; done += buffer.length) {
    signal.throwIfAborted();
    const piece = buffer.subarray(0, Math.min(buffer.length, entry.bytes - done));
    await checkpoint.readInto(entry, done, piece);
    yield piece;
  }
}

async function digestTensor(checkpoint: Checkpoint, entry: TensorEntry, signal: AbortSignal) {
  const hash = createHash("sha256");
  for await (const piece of readPieces(checkpoint, entry, signal)) hash.update(piece);
  return hash.digest("hex");
}

/** SHA-256 of the stored bytes of every tensor that the plan reads, by name. */
export async function digestTensors(
  checkpoint: Checkpoint,
  plan: Plan,
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const digests = new Map<string, string>();
  for (const { source } of [...plan.values()].flatMap((part) => part.weights)) {
    if (digests.has(source.name)) continue;
    digests.set(source.name, await digestTensor(checkpoint, source, signal));
  }
  return digests;
}

/** Same type, shape and bytes. */
export async function sameTensor(
  checkpoint: Checkpoint,
  a: TensorEntry,
  b: TensorEntry,
  signal: AbortSignal,
): Promise<boolean> {
  if (a.dtype !== b.dtype || a.shape.join() !== b.shape.join()) return false;
  const second = await digestTensor(checkpoint, b, signal);
  return (await digestTensor(checkpoint, a, signal)) === second;
}
