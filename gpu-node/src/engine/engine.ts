// One job from pixels and texts to its outcome, inside the engine process: what the image needs from the
// store or from one vision pass, then what the model is for. Knows nothing of queues, HTTP or processes.
import { resolveGeneration } from "@blip2-edge/shared/contracts/generation";
import { AppError } from "@blip2-edge/shared/problem";
import type { CatalogModel } from "@blip2-edge/shared/wire/protocol";
import type { GenerationModel } from "../runtime/generation-model.ts";
import type { RetrievalModel } from "../runtime/retrieval-model.ts";
import { floatTensor } from "../tensor/tensor.ts";
import type { FeatureStore } from "./feature-store.ts";
import { createLook, type EngineEvents, type Look, type Looker } from "./look.ts";
import type {
  EmbedImageJob,
  EmbedTextsJob,
  GenerateJob,
  ImageJob,
  Job,
  MatchJob,
  Outcome,
} from "./messages.ts";

type Writer = Looker & Pick<GenerationModel, "kind" | "manifest" | "generate">;
type Comparer = Looker & Pick<RetrievalModel, "kind" | "manifest" | "match" | "embedTexts">;
/** What the engine needs of a model. */
export type EngineModel = Writer | Comparer;

export interface EngineRoom {
  readonly models: readonly CatalogModel[];
  /** By model revision: equal where models have the same vision tower. */
  readonly visionKeys: Readonly<Record<string, string>>;
  /** Runs every graph once, so that the first request pays for nothing but itself. */
  warmUp(): Promise<void>;
  /** Errors: `model_not_found`, `revision_mismatch`, `pixels_required`, and those of the models. */
  run(job: Job, signal: AbortSignal, events: EngineEvents): Promise<Outcome>;
}

const warmUpGeneration = resolveGeneration({ max_new_tokens: 2, min_new_tokens: 2 });

function announce({ kind, manifest }: EngineModel): CatalogModel {
  const common = {
    model: manifest.name,
    model_revision: manifest.model_revision,
    family: manifest.family,
    image_size: manifest.image.size,
  };
  return kind === "retrieval"
    ? { ...common, abilities: ["match", "embed"] }
    : {
        ...common,
        abilities: ["caption", "vqa"],
        question_template: manifest.question_template,
      };
}

async function warmUpModel(model: EngineModel): Promise<void> {
  const { size } = model.manifest.image;
  const black = model.pixelValues(new Uint8Array(size * size * 3));
  const imageEmbeds = await model.vision(black);
  const { projected } = await model.features(imageEmbeds);
  if (model.kind === "generation") {
    await model.generate(projected.data, [null], warmUpGeneration);
  } else {
    await model.match({ imageEmbeds, projected }, ["a"], ["itm", "itc"]);
  }
}

export function createEngine(
  models: readonly EngineModel[],
  store: FeatureStore,
  now: () => number = () => performance.now(),
): EngineRoom {
  const byName = new Map<string, EngineModel>();
  for (const model of models) {
    const { name } = model.manifest;
    if (byName.has(name)) {
      throw new AppError("usage", `Two of the artifacts are called ${name}; serve one of them.`);
    }
    byName.set(name, model);
  }
  /** A model that compares comes back to the image with other texts; two models come back for each other. */
  const keepsSight = ({ kind, visionKey }: EngineModel): boolean =>
    kind === "retrieval" || models.filter((each) => each.visionKey === visionKey).length > 1;

  const find = (job: Job): EngineModel => {
    const model = byName.get(job.model);
    if (model === undefined) {
      throw new AppError("model_not_found", `This node does not serve ${job.model}.`);
    }
    if (model.manifest.model_revision !== job.modelRevision) {
      throw new AppError(
        "revision_mismatch",
        `This node holds revision ${model.manifest.model_revision} of ${job.model}.`,
      );
    }
    return model;
  };
  const writer = (job: GenerateJob): Writer => {
    const model = find(job);
    if (model.kind === "generation") return model;
    throw new AppError("invalid_request", `The model ${job.model} writes no texts.`);
  };
  const comparer = (job: MatchJob | EmbedImageJob | EmbedTextsJob): Comparer => {
    const model = find(job);
    if (model.kind === "retrieval") return model;
    throw new AppError("invalid_request", `The model ${job.model} compares nothing.`);
  };
  const lookWith = (model: EngineModel, job: ImageJob, events: EngineEvents): Look =>
    createLook(model, job, { store, events, keepSight: keepsSight(model) });

  const timed = async <T>(work: () => Promise<T>): Promise<{ value: T; tookMs: number }> => {
    const startedAt = now();
    const value = await work();
    return { value, tookMs: now() - startedAt };
  };

  const runGenerate = async (job: GenerateJob, signal: AbortSignal, events: EngineEvents) => {
    const model = writer(job);
    const look = lookWith(model, job, events);
    const seen = await timed(look.projected);
    const made = await model.generate(seen.value, job.texts, job.generation, { signal });
    const { results, prefillMs, decodeMs } = made;
    return {
      kind: "generate",
      results,
      visionPasses: look.visionPasses,
      firstTokenMs: seen.tookMs + prefillMs,
      stages: { vision: seen.tookMs, prefill: prefillMs, decode: decodeMs },
    } as const;
  };

  const runMatch = async (job: MatchJob, signal: AbortSignal, events: EngineEvents) => {
    const model = comparer(job);
    const look = lookWith(model, job, events);
    const { qformer, text } = model.manifest;
    const seen = await timed(async () => ({
      ...(job.scores.includes("itm") ? { imageEmbeds: await look.imageEmbeds() } : {}),
      ...(job.scores.includes("itc")
        ? { projected: floatTensor(await look.projected(), [1, qformer.queries, text.dim]) }
        : {}),
    }));
    const matched = await timed(() => model.match(seen.value, job.texts, job.scores, { signal }));
    return {
      kind: "match",
      matches: matched.value,
      visionPasses: look.visionPasses,
      stages: { vision: seen.tookMs, match: matched.tookMs },
    } as const;
  };

  const runEmbedImage = async (job: EmbedImageJob, events: EngineEvents) => {
    const model = comparer(job);
    const look = lookWith(model, job, events);
    const { queries, hidden } = model.manifest.qformer;
    const seen = await timed(async () =>
      job.features === "query"
        ? floatTensor((await look.features()).queryOutput.data, [queries, hidden])
        : floatTensor(await look.projected(), [queries, model.manifest.text.dim]),
    );
    return {
      kind: "embed",
      embeddings: [seen.value],
      visionPasses: look.visionPasses,
      stages: { vision: seen.tookMs },
    } as const;
  };

  const runEmbedTexts = async (job: EmbedTextsJob, signal: AbortSignal) => {
    const model = comparer(job);
    const made = await timed(() => model.embedTexts(job.texts, { signal }));
    return {
      kind: "embed",
      embeddings: made.value.map(({ textOutput, projected }) =>
        job.features === "query" ? textOutput : projected,
      ),
      visionPasses: 0,
      stages: { embed: made.tookMs },
    } as const;
  };

  return {
    models: models.map(announce),
    visionKeys: Object.fromEntries(
      models.map(({ manifest, visionKey }) => [manifest.model_revision, visionKey]),
    ),
    async warmUp() {
      for (const model of models) await warmUpModel(model);
    },
    async run(job, signal, events) {
      signal.throwIfAborted();
      switch (job.kind) {
        case "generate":
          return runGenerate(job, signal, events);
        case "match":
          return runMatch(job, signal, events);
        case "embed_image":
          return runEmbedImage(job, events);
        case "embed_texts":
          return runEmbedTexts(job, signal);
      }
    },
  };
}
