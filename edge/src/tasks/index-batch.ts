// Several pictures become records, some at a time. Each comes to its own end: what is wrong with one, or what it
// waits for, stops none of the others.
import type { ImageBatchResult } from "@blip2-edge/shared/contracts/image-batch";
import type { ImagePutOptions } from "@blip2-edge/shared/contracts/images";
import { AppError, toProblem } from "@blip2-edge/shared/problem";
import pMap from "p-map";
import type { AuthenticatedContext } from "../context.ts";
import { describeError } from "../log.ts";
import { indexImage } from "./index-image.ts";
import type { PictureSource } from "./open-picture.ts";
import type { Rooms } from "./rooms.ts";

export interface BatchEntry {
  readonly id: string;
  /** Read when it is this one's turn. Throws the problems of reading a picture. */
  readonly picture: () => PictureSource;
  readonly options: ImagePutOptions;
}

/** An isolate decodes one after the other; this many wait for nodes and stores. */
const indexedAtOnce = 4;

/** In the order of the entries. Throws only when nobody waits for the answer any more. */
export async function indexBatch(
  rooms: Rooms,
  { namespace, entries }: { readonly namespace: string; readonly entries: readonly BatchEntry[] },
  context: AuthenticatedContext,
): Promise<ImageBatchResult[]> {
  const { caller, event, signal } = context;
  const one = async ({ id, picture, options }: BatchEntry): Promise<ImageBatchResult> => {
    // What one lets go of is not the others' to lose.
    const memory = rooms.pictureMemory.share();
    try {
      signal.throwIfAborted();
      const task = { namespace, id, picture: picture(), options };
      return { id, record: await indexImage(rooms, task, { ...context, memory }) };
    } catch (error) {
      if (!(error instanceof AppError)) event["batch_fault"] = describeError(error);
      return { id, problem: toProblem(error) };
    } finally {
      memory.keep(0);
    }
  };
  const concurrency = Math.min(indexedAtOnce, caller.limits.concurrency ?? indexedAtOnce);
  const results = await pMap(entries, one, { concurrency });
  if (signal.aborted && signal.reason instanceof AppError && signal.reason.code === "canceled") {
    throw signal.reason;
  }
  event["batch_images"] = results.length;
  event["batch_failed"] = results.filter(({ problem }) => problem !== undefined).length;
  return results;
}
