// The story of a request that generates text over a picture: which model, which picture, what is cached,
// what a node must still be asked, what is kept. The only place that knows all of it.
import {
  generationNotes,
  isReproducible,
  requestOf,
  resolveGeneration,
  type Generation,
  type GenerationRequest,
} from "@blip2-edge/shared/contracts/generation";
import type { ImageId } from "@blip2-edge/shared/contracts/image";
import { AppError } from "@blip2-edge/shared/problem";
import type { Ability, CatalogModel, InferResult } from "@blip2-edge/shared/wire/protocol";
import type { CacheOutcome } from "../cache/answer-headers.ts";
import type { ResultCache, ResultKey, StoredResult } from "../cache/results.ts";
import type { AuthenticatedContext } from "../context.ts";
import { describeError } from "../log.ts";
import type { Models } from "../nodes/catalog.ts";
import type { Infer } from "../nodes/infer.ts";
import type { PartitionTag } from "../nodes/partition-tag.ts";
import type { Partition } from "../partition.ts";
import {
  loadPicture,
  openPicture,
  type LoadedPicture,
  type OpenedPicture,
  type PictureRooms,
  type PictureSource,
} from "./open-picture.ts";

/** The rooms that a task puts in order. */
export interface Rooms extends PictureRooms {
  readonly models: Models;
  readonly results: ResultCache;
  readonly infer: Infer;
  readonly partitionTag: PartitionTag;
}

export interface GenerateTask {
  readonly picture: PictureSource;
  readonly model: string | undefined;
  readonly ability: Ability;
  readonly generation: GenerationRequest;
  /** The texts for the model, once it is known whose template applies. */
  readonly textsFor: (model: CatalogModel) => readonly (string | null)[];
}

export interface Generated {
  readonly model: CatalogModel;
  readonly imageId: ImageId;
  /** In the order of the texts. */
  readonly results: readonly StoredResult[];
  readonly outcome: CacheOutcome;
}

export async function generate(
  rooms: Rooms,
  task: GenerateTask,
  context: AuthenticatedContext,
): Promise<Generated> {
  const { signal } = context;
  // The model first: a wrong name costs no fetch.
  const model = await rooms.models.resolve(task.model, task.ability, signal);
  const loaded = await loadPicture(rooms, task.picture, context);
  try {
    return await generateWith(rooms, task, model, loaded, context);
  } catch (error) {
    if (!isMismatch(error)) throw error;
  }
  // The node holds another revision than the catalogue we believed: ask it, once, and start over.
  context.event["catalog_refreshed"] = true;
  const fresh = await rooms.models.resolveFresh(task.model, task.ability, signal);
  try {
    return await generateWith(rooms, task, fresh, loaded, context);
  } catch (error) {
    if (!isMismatch(error)) throw error;
    throw new AppError("not_ready", "The model is being replaced. Try again.", { retryAfterS: 2 });
  }
}

const isMismatch = (error: unknown): boolean =>
  error instanceof AppError && error.code === "revision_mismatch";

async function generateWith(
  rooms: Rooms,
  task: GenerateTask,
  model: CatalogModel,
  loaded: LoadedPicture,
  context: AuthenticatedContext,
): Promise<Generated> {
  const picture = await openPicture(rooms, loaded, model.image_size, context);
  const { imageId, partitions } = picture;
  const generation = resolveGeneration(task.generation);
  const texts = task.textsFor(model);
  const notes = generationNotes(task.generation);
  context.event["model"] = model.model;
  context.event["model_revision"] = model.model_revision;
  if (!isReproducible(generation)) {
    context.event["cache"] = "bypass";
    const inference = { model, generation, picture, texts };
    const drawn = await inferAndKeepPixels(rooms, inference, context);
    return { model, imageId, outcome: "bypass", results: drawn.map(withNotes(notes)) };
  }
  const keyOf = (text: string | null): ResultKey => ({
    imageId,
    modelRevision: model.model_revision,
    text,
    generation: { ...generation },
  });

  const found = new Map<string | null, StoredResult>();
  const foundIn = new Set<Partition>();
  const wanted = [...new Set(texts)];
  await Promise.all(
    wanted.map(async (text) => {
      const hit = await rooms.results.find(partitions, keyOf(text));
      if (hit === undefined) return;
      found.set(text, hit.result);
      foundIn.add(hit.partition);
      // What was found in a shared partition becomes the tenant's own as well.
      if (hit.partition !== partitions[0]) {
        context.later(rooms.results.store([partitions[0]], keyOf(text), hit.result));
      }
    }),
  );
  const missing = wanted.filter((text) => !found.has(text));
  const outcome: CacheOutcome =
    missing.length === 0 ? "hit" : found.size === 0 ? "miss" : "partial";
  context.event["cache"] = outcome;
  if (foundIn.size > 0) context.event["cache_partitions"] = [...foundIn];

  if (missing.length > 0) {
    const inference = { model, generation, picture, texts: missing };
    const results = await inferAndKeepPixels(rooms, inference, context);
    await Promise.all(
      missing.map(async (text, index) => {
        const result = results[index];
        if (result === undefined) throw new Error("a result is missing");
        found.set(text, result);
        await rooms.results.store(partitions, keyOf(text), result);
      }),
    );
  }
  return {
    model,
    imageId,
    outcome,
    results: texts.map((text) => {
      const result = found.get(text);
      if (result === undefined) throw new Error("a result is missing");
      return withNotes(notes)(result);
    }),
  };
}

/** The fields of an answer that only some have. */
export const moreOf = ({ sequences, notes }: StoredResult) => ({
  ...(sequences === undefined ? {} : { sequences }),
  ...(notes === undefined ? {} : { notes }),
});

/** What the request alone tells stands before what depends on its text; neither is in the key. */
const withNotes =
  (notes: readonly string[]) =>
  (result: StoredResult): StoredResult =>
    notes.length === 0 ? result : { ...result, notes: [...notes, ...(result.notes ?? [])] };

interface Inference {
  readonly model: CatalogModel;
  readonly generation: Generation;
  readonly picture: OpenedPicture;
  readonly texts: readonly (string | null)[];
}

/** Asks a node, and meanwhile keeps the pixels, so that the picture can be asked about by its id. */
async function inferAndKeepPixels(
  rooms: Rooms,
  { model, generation, picture, texts }: Inference,
  context: AuthenticatedContext,
): Promise<readonly StoredResult[]> {
  const { event, signal, remainingMs } = context;
  const { imageId, partitions, pixels, size } = picture;
  const keeping =
    pixels === undefined
      ? Promise.resolve()
      : rooms.pixels.put(partitions, imageId, size, pixels).catch((error: unknown) => {
          event["pixel_store_fault"] = describeError(error);
        });
  // A public picture's features are shared on the node, a private one's are the tenant's.
  const widest = partitions.at(-1) ?? partitions[0];
  const outcome = await rooms.infer(
    {
      request: {
        model: model.model,
        model_revision: model.model_revision,
        partition: await rooms.partitionTag(widest),
        image: { image_id: imageId, size },
        texts: [...texts],
        generation: requestOf(generation),
      },
      pixels,
      loadPixels: () => rooms.pixels.get(partitions, imageId, size),
      remainingMs,
    },
    signal,
  );
  await keeping;
  event["node_attempts"] = outcome.attempts;
  event["node_sent_pixels"] = outcome.sentPixels;
  event["node_vision_passes"] = outcome.response.vision_passes;
  return outcome.response.results.map(stored);
}

/** What is kept of a node's result: no token ids. */
function stored({
  text,
  finish_reason,
  log_prob,
  usage,
  notes,
  sequences,
}: InferResult): StoredResult {
  return {
    text,
    finish_reason,
    log_prob,
    usage,
    ...(notes === undefined ? {} : { notes }),
    ...(sequences === undefined
      ? {}
      : {
          sequences: sequences.map((sequence) => ({
            text: sequence.text,
            log_prob: sequence.log_prob,
            finish_reason: sequence.finish_reason,
          })),
        }),
  };
}
