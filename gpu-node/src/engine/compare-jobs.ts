// Jobs of a model that compares: what each needs of its image, then scores or vectors. One at a time.
import type { RetrievalModel } from "../runtime/retrieval-model.ts";
import { floatTensor } from "../tensor/tensor.ts";
import { createLook, type Looker, type Looking } from "./look.ts";
import type { EmbedImageJob, EmbedTextsJob, MatchJob, Outcome } from "./messages.ts";

export type SingleJob = MatchJob | EmbedImageJob | EmbedTextsJob;
/** What of a model compares. */
export type Comparer = Looker &
  Pick<RetrievalModel, "kind" | "manifest" | "calibration" | "match" | "embedTexts">;

export interface SingleSettings extends Looking {
  readonly now: () => number;
}

/** Errors: `pixels_required`, and those of the model. */
export async function runSingle(
  job: SingleJob,
  model: Comparer,
  signal: AbortSignal,
  settings: SingleSettings,
): Promise<Outcome> {
  const { now } = settings;
  const timed = async <T>(work: () => Promise<T>): Promise<{ value: T; tookMs: number }> => {
    const startedAt = now();
    const value = await work();
    return { value, tookMs: now() - startedAt };
  };

  const match = async (asked: MatchJob): Promise<Outcome> => {
    const look = createLook(model, asked, settings);
    const { qformer, text } = model.manifest;
    const seen = await timed(async () => ({
      ...(asked.scores.includes("itm") ? { imageEmbeds: await look.imageEmbeds() } : {}),
      ...(asked.scores.includes("itc")
        ? { projected: floatTensor(await look.projected(), [1, qformer.queries, text.dim]) }
        : {}),
    }));
    const matched = await timed(() =>
      model.match(seen.value, asked.texts, asked.scores, { signal }),
    );
    return {
      kind: "match",
      matches: matched.value,
      visionPasses: look.visionPasses,
      stages: { vision: seen.tookMs, match: matched.tookMs },
    };
  };

  const embedImage = async (asked: EmbedImageJob): Promise<Outcome> => {
    const look = createLook(model, asked, settings);
    const { queries, hidden } = model.manifest.qformer;
    const seen = await timed(async () =>
      asked.features === "query"
        ? floatTensor((await look.features()).queryOutput.data, [queries, hidden])
        : floatTensor(await look.projected(), [queries, model.manifest.text.dim]),
    );
    return {
      kind: "embed",
      embeddings: [seen.value],
      visionPasses: look.visionPasses,
      stages: { vision: seen.tookMs },
    };
  };

  const embedTexts = async (asked: EmbedTextsJob): Promise<Outcome> => {
    const made = await timed(() => model.embedTexts(asked.texts, { signal }));
    return {
      kind: "embed",
      embeddings: made.value.map(({ textOutput, projected }) =>
        asked.features === "query" ? textOutput : projected,
      ),
      visionPasses: 0,
      stages: { embed: made.tookMs },
    };
  };

  signal.throwIfAborted();
  switch (job.kind) {
    case "match":
      return match(job);
    case "embed_image":
      return embedImage(job);
    case "embed_texts":
      return embedTexts(job);
  }
}
