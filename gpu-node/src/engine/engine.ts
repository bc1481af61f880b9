// One job from pixels to texts, inside the engine process: features from the store or from one vision
// pass, then generation. Knows nothing of queues, HTTP or processes.
import { resolveGeneration } from "@blip2-edge/shared/contracts/generation";
import { AppError } from "@blip2-edge/shared/problem";
import type { CatalogModel } from "@blip2-edge/shared/wire/protocol";
import type { GenerationModel } from "../runtime/generation-model.ts";
import type { FeatureStore } from "./feature-store.ts";
import { featureKey, type InferJob, type InferOutcome, type StoreChange } from "./messages.ts";

/** What the engine needs of a model. */
export type EngineModel = Pick<GenerationModel, "manifest" | "lookAt" | "generate">;

export interface EngineRoom {
  readonly models: readonly CatalogModel[];
  /** Runs every graph once, so that the first request pays for nothing but itself. */
  warmUp(): Promise<void>;
  /** `onStore` hears of a change before the answer is there. Errors: those of Model.generate, and below. */
  infer(
    job: InferJob,
    signal: AbortSignal,
    onStore: (change: StoreChange) => void,
  ): Promise<InferOutcome>;
}

const warmUpGeneration = resolveGeneration({ max_new_tokens: 2, min_new_tokens: 2 });

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

  return {
    models: models.map(({ manifest }) => ({
      model: manifest.name,
      model_revision: manifest.model_revision,
      family: manifest.family,
      image_size: manifest.image.size,
      abilities: ["caption", "vqa"],
      question_template: manifest.question_template,
    })),

    async warmUp() {
      for (const model of models) {
        const { size } = model.manifest.image;
        const { projected } = await model.lookAt(new Uint8Array(size * size * 3));
        await model.generate(projected.data, [null], warmUpGeneration);
      }
    },

    async infer(job, signal, onStore) {
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
      signal.throwIfAborted();
      const key = featureKey(job);
      const startedAt = now();
      let projected = store.get(key);
      let visionPasses = 0;
      if (projected === undefined) {
        if (job.pixels === undefined) {
          throw new AppError("pixels_required", "Send the request again with the image's pixels.");
        }
        projected = (await model.lookAt(job.pixels)).projected.data;
        visionPasses = 1;
        const removed = store.put(key, projected);
        onStore({
          ...(removed.includes(key) ? {} : { added: key }),
          removed,
          bytes: store.bytes,
        });
      }
      const visionMs = now() - startedAt;
      const { results, prefillMs, decodeMs } = await model.generate(
        projected,
        job.texts,
        job.generation,
        { signal },
      );
      return { results, visionPasses, visionMs, prefillMs, decodeMs };
    },
  };
}
