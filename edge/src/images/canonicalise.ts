// From a picture file to its id and its pixels at a model's size, within the isolate's decoding budget.
// Sizes are judged from the header before the budget is asked and before a pixel is decoded.
import type { ImageId } from "@blip2-edge/shared/contracts/image";
import { canonicalImage } from "@blip2-edge/shared/image/canonical";
import type { Decoder } from "@blip2-edge/shared/image/decode";
import { checkImage, decodeBytes, type ImageLimits } from "@blip2-edge/shared/image/limits";
import type { DecodeBudget } from "./decode-budget.ts";

export interface CanonicalPicture {
  readonly imageId: ImageId;
  readonly size: number;
  /** RGB, [size, size, 3]. */
  readonly pixels: Uint8Array;
  readonly type: string;
  readonly width: number;
  readonly height: number;
}

export type Canonicalise = (
  bytes: Uint8Array,
  size: number,
  signal: AbortSignal,
) => Promise<CanonicalPicture>;

/** Throws the problems of the shared image check, image_corrupt and overloaded. */
export function canonicaliser(options: {
  readonly decoder: Decoder;
  readonly budget: DecodeBudget;
  readonly limits: ImageLimits;
}): Canonicalise {
  const { decoder, budget, limits } = options;
  return async (bytes, size, signal) => {
    const header = checkImage(bytes, limits);
    const { imageId, pixels, source } = await budget.run(
      decodeBytes(header, bytes.length),
      signal,
      () => canonicalImage(bytes, { decoder, sizes: [size], limits }),
    );
    const wanted = pixels.get(size);
    if (wanted === undefined) throw new Error(`no pixels of side ${size} were made`);
    return { imageId, size, pixels: wanted, ...source };
  };
}
