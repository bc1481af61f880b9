// Texts generated over a picture: what captions and answers have in common. Each text is cached by itself,
// and a node is asked only for those that are missing; what is drawn anew each time is not cached at all.
import {
  generationNotes,
  isReproducible,
  requestOf,
  resolveGeneration,
  type GenerationRequest,
} from "@blip2-edge/shared/contracts/generation";
import type { ImageId } from "@blip2-edge/shared/contracts/image";
import type { Ability, CatalogModel, InferResult } from "@blip2-edge/shared/wire/protocol";
import type { CacheOutcome } from "../cache/answer-headers.ts";
import { generationKey, type StoredGeneration } from "../cache/keys.ts";
import type { AuthenticatedContext } from "../context.ts";
import { inferCall } from "../nodes/calls.ts";
import type { OnText } from "../nodes/exchange.ts";
import { askNodeAbout } from "./ask-node.ts";
import type { Listener } from "./listener.ts";
import type { PictureSource } from "./open-picture.ts";
import type { Rooms } from "./rooms.ts";
import { throughCache } from "./through-cache.ts";
import { withPicture } from "./with-model.ts";

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
  readonly exact: boolean;
  /** In the order of the texts. */
  readonly results: readonly StoredGeneration[];
  readonly outcome: CacheOutcome;
}

export function generate(
  rooms: Rooms,
  task: GenerateTask,
  context: AuthenticatedContext,
  listener?: Listener,
): Promise<Generated> {
  const generation = resolveGeneration(task.generation);
  const notes = generationNotes(task.generation);
  return withPicture(rooms, task, context, async (model, picture) => {
    const { imageId, exact, partitions } = picture;
    const texts = task.textsFor(model);
    const saying = listener === undefined ? undefined : sayEach(texts, model, listener);
    const infer = async (wanted: readonly (string | null)[]): Promise<StoredGeneration[]> => {
      const { results } = await askNodeAbout(
        rooms,
        inferCall,
        model,
        picture,
        (about) => ({
          ...about,
          texts: [...wanted],
          generation: requestOf(generation),
          ...(saying === undefined ? {} : { stream: true }),
        }),
        context,
        saying?.hears(wanted),
      );
      return results.map(stored);
    };
    if (!isReproducible(generation)) {
      context.event["cache"] = "bypass";
      context.served.results = "bypass";
      const drawn = await infer(texts);
      saying?.rest(drawn);
      return { model, imageId, exact, outcome: "bypass", results: drawn.map(withNotes(notes)) };
    }
    const modelRevision = model.model_revision;
    const cached = await throughCache(
      rooms,
      {
        items: [...new Set(texts)],
        partitions,
        keyOf: (text) =>
          generationKey({ imageId, modelRevision, text, generation: { ...generation } }),
        compute: infer,
      },
      context,
    );
    const found = texts.map(cached.of);
    saying?.rest(found);
    const results = found.map(withNotes(notes));
    return { model, imageId, exact, outcome: cached.outcome, results };
  });
}

/**
 * Says what a node writes as it comes, at every place where its text was asked for, and in one piece what
 * came otherwise: from a cache, from a node that does not stream, by a search that decides at its end.
 */
function sayEach(texts: readonly (string | null)[], model: CatalogModel, { says }: Listener) {
  const said = new Set<number>();
  return {
    hears:
      (wanted: readonly (string | null)[]): OnText =>
      (at, piece) => {
        texts.forEach((text, index) => {
          if (at >= wanted.length || text !== wanted[at]) return;
          said.add(index);
          says(index, piece, model);
        });
      },
    rest(results: readonly StoredGeneration[]): void {
      results.forEach(({ text }, index) => {
        if (!said.has(index)) says(index, text, model);
      });
    },
  };
}

/** The fields of an answer that only some have. */
export const moreOf = ({ sequences, notes }: StoredGeneration) => ({
  ...(sequences === undefined ? {} : { sequences }),
  ...(notes === undefined ? {} : { notes }),
});

/** What the request alone tells stands before what depends on its text; neither is in the key. */
const withNotes =
  (notes: readonly string[]) =>
  (result: StoredGeneration): StoredGeneration =>
    notes.length === 0 ? result : { ...result, notes: [...notes, ...(result.notes ?? [])] };

/** What is kept of a node's result: no token ids. */
function stored({
  text,
  finish_reason,
  log_prob,
  usage,
  notes,
  sequences,
}: InferResult): StoredGeneration {
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
