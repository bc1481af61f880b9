// What a model of any family does with a picture: pixel values, one vision pass, the Q-Former's queries.
import type { FloatTensor } from "../tensor/tensor.ts";
import { output } from "./decoder-tensors.ts";
import type { Session } from "./ort.ts";
import type { VisionTower } from "./vision-tower.ts";

/** What the Q-Former made of one image or several. */
export interface Features {
  /** f32 [batch, queries, qformerHidden] */
  readonly queryOutput: FloatTensor;
  /**
   * What the rest of the model reads: f32 [batch, queries, hidden] for a language model, f32
   * [batch, queries, dim] of length 1 to compare with texts.
   */
  readonly projected: FloatTensor;
}
export interface Seen extends Features {
  /** f32 [batch, patches + 1, visionHidden] */
  readonly imageEmbeds: FloatTensor;
}

export interface Sight extends Pick<VisionTower, "pixelValues" | "vision"> {
  /** Equal for models whose `vision` is the same. */
  readonly visionKey: string;
  features(imageEmbeds: FloatTensor): Promise<Features>;
  /** One vision pass over one canonical image. */
  lookAt(rgb: Uint8Array): Promise<Seen>;
}

export function createSight(tower: VisionTower, qformer: Session): Sight {
  const { key, pixelValues, vision } = tower;
  const features = async (imageEmbeds: FloatTensor): Promise<Features> => {
    const outputs = await qformer.run({ image_embeds: imageEmbeds });
    return {
      queryOutput: output(outputs, "query_output"),
      projected: output(outputs, "projected"),
    };
  };
  return {
    visionKey: key,
    pixelValues,
    vision,
    features,
    async lookAt(rgb) {
      const imageEmbeds = await vision(pixelValues(rgb));
      return { imageEmbeds, ...(await features(imageEmbeds)) };
    },
  };
}
