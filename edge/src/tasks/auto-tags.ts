// Tags by models, from the same look as vectors and caption: what the caption names, and which labels of the caller's own
// are true of the picture, by the nearest of its query vectors. A label's vector is cached, so it costs an inference once.
import { defaultLabelTemplate } from "@blip2-edge/shared/contracts/classify";
import type { AutoTag, ImagePutOptions } from "@blip2-edge/shared/contracts/images";
import { applyTemplate } from "@blip2-edge/shared/contracts/question-template";
import { invalidRequest } from "@blip2-edge/shared/contracts/refuse";
import { AppError } from "@blip2-edge/shared/problem";
import { probabilityOf, wordsIn } from "@blip2-edge/shared/wire/calibration";
import { readEmbedding } from "@blip2-edge/shared/wire/embedding";
import type { AuthenticatedContext } from "../context.ts";
import { captionTags } from "../search/caption-tags.ts";
import type { IndexedBy } from "../search/image-index.ts";
import { normalised, quantise } from "../search/quantise.ts";
import { maxSimilarity } from "../search/similarity.ts";
import { embedTexts } from "./embed.ts";
import type { Rooms } from "./rooms.ts";

export interface AutoTagsTask {
  readonly wish: ImagePutOptions["auto_tags"];
  readonly caption: string | null;
  readonly by: IndexedBy;
  /** Of the picture, row by row, each of length 1. */
  readonly vectors: Float32Array;
  readonly dim: number;
}

/** Throws invalid_request when labels come without a cut-off and the model has none, the problems of nodes. */
export async function autoTags(
  rooms: Rooms,
  { wish = true, caption, by, vectors, dim }: AutoTagsTask,
  context: AuthenticatedContext,
): Promise<AutoTag[]> {
  if (wish === false) return [];
  const named = caption === null ? [] : captionTags(caption);
  const fromCaption = named.map((tag): AutoTag => ({ tag, from: "caption" }));
  if (wish === true) return fromCaption;
  const { labels, min_score: minScore } = wish;
  const texts = labels.map((label) => applyTemplate(defaultLabelTemplate, label));
  const task = { model: by.model, features: "projected", texts } as const;
  const { model, embeddings } = await embedTexts(rooms, task, context);
  if (model.model_revision !== by.modelRevision) {
    throw new AppError("node_unavailable", "The model changed meanwhile. Send the picture again.");
  }
  const curve = model.calibration?.label;
  const least = minScore ?? curve?.min_score;
  if (least === undefined) {
    throw invalidRequest([
      {
        field: "auto_tags.min_score",
        message: `must be given: nobody has measured what ${by.model} makes of labels`,
      },
    ]);
  }
  // As the index compares them.
  const coded = quantise(vectors, dim);
  const fromLabels = labels.flatMap((label, index): AutoTag[] => {
    const values = embeddings[index] === undefined ? undefined : readEmbedding(embeddings[index]);
    if (values === undefined) throw new Error("a label without a vector");
    const vector = normalised(values, dim);
    const cosine = maxSimilarity(vector, coded);
    const facts = { words: wordsIn(texts[index] ?? ""), vector };
    const score = curve === undefined ? Math.max(0, cosine) : probabilityOf(curve, cosine, facts);
    return score < least ? [] : [{ tag: label, from: "label", score }];
  });
  const told = new Set(fromLabels.map(({ tag }) => tag));
  return [
    ...fromLabels.toSorted((a, b) => (b.score ?? 0) - (a.score ?? 0)),
    ...fromCaption.filter(({ tag }) => !told.has(tag)),
  ];
}
