// Streams stored tensors into one data file: read a panel of rows, digest it as stored, widen to float32,
// turn it into what is written (float32, half precision, block codes), write. Memory is a few panels
// whatever the checkpoint weighs. Digests of the written file and of every stored tensor come out of the
// same pass.
import { createHash, type Hash } from "node:crypto";
import { writeSync } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { AppError } from "@blip2-edge/shared/problem";
import type { Checkpoint } from "../checkpoint/open-checkpoint.ts";
import { quoteName } from "../checkpoint/safetensors-header.ts";
import { countNonFinite, floatDtypeBytes, toFloat32 } from "../checkpoint/to-float32.ts";
import type { Placement } from "../onnx/graph.ts";
import type { DataLayout } from "../onnx/external-data.ts";
import { elementTypes } from "../onnx/value.ts";
import { createEncoder } from "./encode-panel.ts";
import type { WeightTensor } from "./tensor-plan.ts";

/** Of float32 numbers: the unit in which everything is read, turned and written. */
const defaultPanelBytes = 16 * 1024 * 1024;
const floatBytes = 4;

export interface WrittenData {
  readonly sha256: string;
  readonly bytes: number;
  /** SHA-256 of each stored tensor's bytes, by its name in the checkpoint. */
  readonly sources: ReadonlyMap<string, string>;
}

export interface WriteOptions {
  readonly signal: AbortSignal;
  /** Called with the bytes written since the last call. */
  readonly onBytes?: (bytes: number) => void;
  readonly panelBytes?: number;
}

async function writeFully(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  let written = 0;
  while (written < bytes.length) {
    const result = await handle.write(bytes, written, bytes.length - written, position + written);
    written += result.bytesWritten;
  }
}

/**
 * One of the thousands of short runs of a panel. Synchronous: each is a copy into the page cache, and a
 * promise for each would cost ten times as much. The thread is free again after every panel.
 */
function writeRun(handle: FileHandle, bytes: Uint8Array, position: number): void {
  let written = 0;
  while (written < bytes.length) {
    written += writeSync(handle.fd, bytes, written, bytes.length - written, position + written);
  }
}

/** Rows and row length of a tensor as panels see it: what has no rows is one long row cut anywhere. */
const panelShape = ({ source, form }: WeightTensor): { rows: number; columns: number } => {
  const numbers = source.bytes / floatDtypeBytes[source.dtype];
  const [rows = 1] = source.shape;
  const whole = form.kind !== "float" || form.transposed;
  return whole ? { rows, columns: numbers / rows } : { rows: numbers, columns: 1 };
};

/**
 * Writes `weights` where `layout` places them, to `path`. Errors: `checkpoint_invalid` naming a tensor with
 * NaN, infinity or, where it is to be half precision, a number that no half can hold.
 */
export async function writeWeights(
  checkpoint: Checkpoint,
  weights: readonly WeightTensor[],
  layout: DataLayout,
  path: string,
  options: WriteOptions,
): Promise<WrittenData> {
  const { signal, onBytes, panelBytes = defaultPanelBytes } = options;
  const panelNumbers = Math.max(1, Math.floor(panelBytes / floatBytes));
  // One row may be longer than a panel.
  const longestRow = Math.max(1, ...weights.map((tensor) => panelShape(tensor).columns));
  const capacity = Math.max(panelNumbers, longestRow);
  const raw = new Uint8Array(capacity * floatBytes);
  const floats = new Float32Array(capacity);
  const encode = createEncoder(capacity);
  const sources = new Map<string, string>();
  const fileHash = createHash("sha256");
  const handle = await open(path, "wx+");

  /** Reads rows [first, first + count) into `floats`; digests and checks them. */
  const readPanel = async (tensor: WeightTensor, first: number, count: number, hash: Hash) => {
    signal.throwIfAborted();
    const { columns } = panelShape(tensor);
    const stored = columns * floatDtypeBytes[tensor.source.dtype];
    const bytes = raw.subarray(0, count * stored);
    await checkpoint.readInto(tensor.source, first * stored, bytes);
    hash.update(bytes);
    const values = floats.subarray(0, count * columns);
    toFloat32(bytes, tensor.source.dtype, values);
    const bad = countNonFinite(values);
    if (bad > 0) {
      throw new AppError(
        "checkpoint_invalid",
        `Tensor ${quoteName(tensor.source.name)} holds NaN or infinity (${bad} in one stretch of ${values.length}): the checkpoint is damaged or its training diverged.`,
      );
    }
    return values;
  };

  /** Digests what stands in the file, for tensors that were not written in order. */
  const digestWritten = async (from: number, to: number) => {
    for (let at = from; at < to; at += raw.length) {
      signal.throwIfAborted();
      const chunk = raw.subarray(0, Math.min(raw.length, to - at));
      const { bytesRead } = await handle.read(chunk, 0, chunk.length, at);
      if (bytesRead !== chunk.length)
        throw new Error(`${path} became shorter while it was written`);
      fileHash.update(chunk);
    }
  };

  const writeTensor = async (
    tensor: WeightTensor,
    placements: readonly [Placement, ...Placement[]],
    end: number,
  ) => {
    const hash = createHash("sha256");
    const { form } = tensor;
    const { rows, columns } = panelShape(tensor);
    const panelRows = Math.max(1, Math.floor(capacity / columns));
    const [{ offset }] = placements;
    const turned = form.kind === "float" && form.transposed;
    const inOrder = placements.length === 1 && (!turned || rows <= panelRows);
    for (let first = 0; first < rows; first += panelRows) {
      const count = Math.min(panelRows, rows - first);
      const values = await readPanel(tensor, first, count, hash);
      const pieces = encode(tensor, values, count, columns);
      if (inOrder) for (const piece of pieces) fileHash.update(piece);
      if (turned && !inOrder) {
        const numberBytes = elementTypes[form.type].bytes;
        const [piece = new Uint8Array()] = pieces;
        const runBytes = count * numberBytes;
        for (let column = 0; column < columns; column += 1) {
          const run = piece.subarray(column * runBytes, (column + 1) * runBytes);
          writeRun(handle, run, offset + (column * rows + first) * numberBytes);
        }
      } else {
        for (const [at, piece] of pieces.entries()) {
          const place = placements[at];
          if (place === undefined) throw new Error(`${tensor.source.name} has no place ${at}`);
          await writeFully(handle, piece, place.offset + first * (place.bytes / rows));
        }
      }
      onBytes?.(pieces.reduce((sum, piece) => sum + piece.length, 0));
    }
    if (!inOrder) await digestWritten(offset, end);
    sources.set(tensor.source.name, hash.digest("hex"));
  };

  try {
    let end = 0;
    for (const tensor of weights) {
      const [first, ...rest] = tensor.tensors.map(({ name }) => {
        const placement = layout.placements.get(name);
        if (placement === undefined) throw new Error(`${name} was not laid out`);
        return placement;
      });
      if (first === undefined) throw new Error(`${tensor.source.name} is written nowhere`);
      const last = rest.at(-1) ?? first;
      const gap = new Uint8Array(first.offset - end);
      fileHash.update(gap);
      await writeFully(handle, gap, end);
      end = last.offset + last.bytes;
      await writeTensor(tensor, [first, ...rest], end);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  return { sha256: fileHash.digest("hex"), bytes: layout.bytes, sources };
}
