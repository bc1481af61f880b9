// One image of one job, looked at no more than is needed: what the store still holds is not computed again,
// and the vision pass, which costs most, is made once for all models that have the same tower.
import { AppError } from "@blip2-edge/shared/problem";
import type { Features, Sight } from "../runtime/sight.ts";
import { type FloatTensor, floatTensor } from "../tensor/tensor.ts";
import type { FeatureStore } from "./feature-store.ts";
import { keepFeatures } from "./keep-features.ts";
import { featureKey, type ImageJob, sightKey, type StoreChange } from "./messages.ts";

/** Hears of what happens before the answer is there. */
export interface EngineEvents {
  onStore(change: StoreChange): void;
  onVisionPass(): void;
  /** More of one text of a streamed job. */
  onText?(index: number, text: string): void;
}

export interface Looking {
  readonly store: FeatureStore;
  readonly events: EngineEvents;
  /** Whether the tower's output is worth its memory: somebody will want more of it than one projection. */
  readonly keepSight: boolean;
}

/** What of a model looks. */
export type Looker = Pick<Sight, "visionKey" | "pixelValues" | "vision" | "features"> & {
  readonly manifest: {
    readonly model_revision: string;
    readonly vision: { readonly tokens: number; readonly hidden: number };
  };
};

export interface Look {
  /** Vision passes made so far: 0 or 1. */
  readonly visionPasses: number;
  /** f32 [1, patches + 1, visionHidden]. Errors: `pixels_required` when neither pixels nor it are there. */
  imageEmbeds(): Promise<FloatTensor>;
  features(): Promise<Features>;
  /** The Features' `projected`, flat. */
  projected(): Promise<Float32Array>;
}

export function createLook(model: Looker, job: ImageJob, looking: Looking): Look {
  const { store, events, keepSight } = looking;
  let visionPasses = 0;
  const put = (key: string, data: Float32Array): void =>
    keepFeatures(store, key, data, (change) => events.onStore(change));

  const look = async (): Promise<FloatTensor> => {
    const key = sightKey(job, model.visionKey);
    const held = store.get(key);
    const { tokens, hidden } = model.manifest.vision;
    if (held !== undefined) return floatTensor(held, [1, tokens, hidden]);
    if (job.pixels === undefined) {
      throw new AppError("pixels_required", "Send the request again with the image's pixels.");
    }
    const made = await model.vision(model.pixelValues(job.pixels));
    visionPasses += 1;
    events.onVisionPass();
    if (keepSight) put(key, made.data);
    return made;
  };
  let looked: Promise<FloatTensor> | undefined;
  const imageEmbeds = (): Promise<FloatTensor> => (looked ??= look());

  return {
    get visionPasses() {
      return visionPasses;
    },
    imageEmbeds,
    features: async () => model.features(await imageEmbeds()),
    async projected() {
      const key = featureKey(job, model.manifest.model_revision);
      const held = store.get(key);
      if (held !== undefined) return held;
      const { data } = (await model.features(await imageEmbeds())).projected;
      put(key, data);
      return data;
    },
  };
}
