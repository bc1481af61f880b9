// Several images of one model looked at as one batch: what the store still holds is not computed again, the rest goes
// through the vision tower and the Q-Former together.
import { AppError } from "@blip2-edge/shared/problem";
import { type FloatTensor, floatTensor } from "../tensor/tensor.ts";
import type { Looker, Looking } from "./look.ts";
import { keepFeatures } from "./keep-features.ts";
import { featureKey, type ImageFields, sightKey } from "./messages.ts";

export interface Looked {
  /** The Features' `projected` of the image, flat. */
  readonly projected: Float32Array;
  /** Vision passes that it cost: 0 or 1. */
  readonly visionPasses: 0 | 1;
}

/** One image after the other: [1, ...rest] each -> [images, ...rest]. */
function stack(tensors: readonly FloatTensor[]): FloatTensor {
  const [, ...rest] = tensors[0]?.dims ?? [];
  const size = tensors[0]?.data.length ?? 0;
  const data = new Float32Array(tensors.length * size);
  tensors.forEach((tensor, at) => data.set(tensor.data, at * size));
  return floatTensor(data, [tensors.length, ...rest]);
}

/** A copy of each image's own numbers, so that one that is kept does not keep the batch. */
const unstack = ({ data }: FloatTensor, images: number): Float32Array[] =>
  Array.from({ length: images }, (_, at) => {
    const size = data.length / images;
    return data.slice(at * size, (at + 1) * size);
  });

/** In the order of `images`, no two of them alike. Errors: `pixels_required` where neither pixels nor features are there. */
export async function lookTogether(
  model: Looker,
  images: readonly ImageFields[],
  { store, events, keepSight }: Looking,
): Promise<readonly Looked[]> {
  const { tokens, hidden } = model.manifest.vision;
  const embeds = images.map((image) => store.get(sightKey(image, model.visionKey)));
  const unseen = images.flatMap((image, at) => (embeds[at] === undefined ? [{ image, at }] : []));
  if (unseen.length > 0) {
    const pixels = unseen.map(({ image }) => {
      if (image.pixels !== undefined) return model.pixelValues(image.pixels);
      throw new AppError("pixels_required", "Send the request again with the image's pixels.");
    });
    const seen = unstack(await model.vision(stack(pixels)), unseen.length);
    for (const [nth, { image, at }] of unseen.entries()) {
      const data = seen[nth] ?? new Float32Array();
      embeds[at] = data;
      events.onVisionPass();
      if (keepSight) keepFeatures(store, sightKey(image, model.visionKey), data, events.onStore);
    }
  }
  const all = embeds.map((data) => floatTensor(data ?? new Float32Array(), [1, tokens, hidden]));
  const projected = unstack((await model.features(stack(all))).projected, images.length);
  return images.map((image, at) => {
    const data = projected[at] ?? new Float32Array();
    keepFeatures(store, featureKey(image, model.manifest.model_revision), data, events.onStore);
    const passed = unseen.some((each) => each.at === at);
    return { projected: data, visionPasses: passed ? 1 : 0 };
  });
}
