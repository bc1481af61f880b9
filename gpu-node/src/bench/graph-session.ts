// A graph of the bench's own, opened with weights that a temporary folder holds as long as the session lives.
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { explainDiskError } from "../disk/explain-disk-error.ts";
import { layOutData } from "../onnx/external-data.ts";
import type { ExternalTensor, Graph, Placement } from "../onnx/graph.ts";
import { encodeGraph } from "../onnx/model.ts";
import { openPiece, type PieceSession, type SessionOptions } from "../runtime/ort.ts";
import { weightBytes } from "./fill-weights.ts";

const dataFile = "bench.data";

/**
 * Opens `graph` and hands it to `work`; session and weights are gone when that is done.
 * Errors: those of openPiece; of the disk, with what to do.
 */
export async function withGraph<T>(
  graph: Graph,
  options: SessionOptions,
  work: (session: PieceSession) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "blip2-bench-"));
  try {
    const tensors = [...graph.externals.values()];
    const { placements } = layOutData(dataFile, tensors);
    const place = ({ name }: ExternalTensor): Placement => {
      const placement = placements.get(name);
      if (placement === undefined) throw new Error(`${name} was not laid out`);
      return placement;
    };
    await writeWeights(join(folder, dataFile), tensors, place);
    const session = await openPiece(encodeGraph(graph, place), folder, options);
    try {
      return await work(session);
    } finally {
      await session.release();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function writeWeights(
  path: string,
  tensors: readonly ExternalTensor[],
  place: (tensor: ExternalTensor) => Placement,
): Promise<void> {
  try {
    const file = await open(path, "wx");
    try {
      for (const tensor of tensors) {
        let { offset } = place(tensor);
        for (const piece of weightBytes(tensor)) {
          await file.write(piece, 0, piece.length, offset);
          offset += piece.length;
        }
      }
    } finally {
      await file.close();
    }
  } catch (error) {
    const advice = "TMPDIR names another place for what a measurement needs.";
    throw explainDiskError(error, tmpdir(), advice);
  }
}
