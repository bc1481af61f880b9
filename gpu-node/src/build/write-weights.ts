// Streams stored tensors into one data file: read a panel, digest it as stored, widen to float32,
// transpose where asked, write. Memory is three panels whatever the checkpoint weighs. Digests of the
// written file and of every stored tensor come out of the same pass.
import { createHash, type Hash } from "node:crypto";
import { writeSync } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { AppError } from "@blip2-edge/shared/problem";
import type { Checkpoint } from "../checkpoint/open-checkpoint.ts";
import { quoteName } from "../checkpoint/safetensors-header.ts";
import { countNonFinite, floatDtypeBytes, toFloat32 } from "../checkpoint/to-float32.ts";
import type { DataLayout } from "../onnx/external-data.ts";
import type { WeightTensor } from "./tensor-plan.ts";
import { transposePanel } from "./transpose.ts";

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

const asBytes = (values: Float32Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

/** Rows and row length of a tensor as panels see it: 1-D tensors are one long row cut anywhere. */
const panelShape = ({ source, transposed }: WeightTensor): { rows: number; columns: number } => {
  const numbers = source.bytes / floatDtypeBytes[source.dtype];
  const [rows = 1] = source.shape;
  return transposed ? { rows, columns: numbers / rows } : { rows: numbers, columns: 1 };
};

/** Writes `layout` to `path`. Errors: `checkpoint_invalid` naming a tensor with NaN or infinity. */
export async function writeWeights(
  checkpoint: Checkpoint,
  layout: DataLayout<WeightTensor>,
  path: string,
  options: WriteOptions,
): Promise<WrittenData> {
  const { signal, onBytes, panelBytes = defaultPanelBytes } = options;
  const panelNumbers = Math.max(1, Math.floor(panelBytes / floatBytes));
  // One row of a transposed tensor may be longer than a panel.
  const longestRow = Math.max(1, ...layout.tensors.map(({ tensor }) => panelShape(tensor).columns));
  const capacity = Math.max(panelNumbers, longestRow);
  const raw = new Uint8Array(capacity * floatBytes);
  const floats = new Float32Array(capacity);
  const turned = new Float32Array(capacity);
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
  const digestWritten = async (offset: number, bytes: number) => {
    for (let done = 0; done < bytes; done += raw.length) {
      signal.throwIfAborted();
      const chunk = raw.subarray(0, Math.min(raw.length, bytes - done));
      const { bytesRead } = await handle.read(chunk, 0, chunk.length, offset + done);
      if (bytesRead !== chunk.length)
        throw new Error(`${path} became shorter while it was written`);
      fileHash.update(chunk);
    }
  };

  const writeTensor = async (tensor: WeightTensor, offset: number, bytes: number) => {
    const hash = createHash("sha256");
    const { rows, columns } = panelShape(tensor);
    const panelRows = Math.max(1, Math.floor(capacity / columns));
    const whole = rows <= panelRows;
    for (let first = 0; first < rows; first += panelRows) {
      const count = Math.min(panelRows, rows - first);
      const values = await readPanel(tensor, first, count, hash);
      if (!tensor.transposed) {
        fileHash.update(asBytes(values));
        await writeFully(handle, asBytes(values), offset + first * columns * floatBytes);
      } else {
        const panel = turned.subarray(0, values.length);
        transposePanel(values, panel, count, columns);
        if (whole) {
          fileHash.update(asBytes(panel));
          await writeFully(handle, asBytes(panel), offset);
        } else {
          for (let column = 0; column < columns; column += 1) {
            const run = asBytes(panel.subarray(column * count, (column + 1) * count));
            writeRun(handle, run, offset + (column * rows + first) * floatBytes);
          }
        }
      }
      onBytes?.(values.byteLength);
    }
    if (tensor.transposed && !whole) await digestWritten(offset, bytes);
    sources.set(tensor.source.name, hash.digest("hex"));
  };

  try {
    let end = 0;
    for (const { tensor, placement } of layout.tensors) {
      const gap = new Uint8Array(placement.offset - end);
      fileHash.update(gap);
      await writeFully(handle, gap, end);
      await writeTensor(tensor, placement.offset, placement.bytes);
      end = placement.offset + placement.bytes;
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  return { sha256: fileHash.digest("hex"), bytes: layout.bytes, sources };
}
