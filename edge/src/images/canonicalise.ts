// From a picture file to its id and its pixels at a model's size, within the isolate's memory. Sizes are
// judged from the header before the memory is asked for and before a pixel is decoded. What the exact
// path cannot take goes through the Images binding where there is one; the id is then that of what was
// seen, and the answer says so (`exact`).
import type { ImageId } from "@blip2-edge/shared/contracts/image";
import { canonicalImage } from "@blip2-edge/shared/image/canonical";
import type { Decoder } from "@blip2-edge/shared/image/decode";
import { elsewhere } from "@blip2-edge/shared/image/elsewhere";
import { checkImage, decodeBytes, type ImageLimits } from "@blip2-edge/shared/image/limits";
import type { RgbaPicture } from "@blip2-edge/shared/image/thumbnail";
import { AppError } from "@blip2-edge/shared/problem";
import type { MemoryShare } from "./picture-memory.ts";
import { maxShrunkBytes, type Shrink } from "./shrink.ts";

export interface CanonicalPicture {
  readonly imageId: ImageId;
  readonly size: number;
  /** RGB, [size, size, 3]. */
  readonly pixels: Uint8Array;
  readonly type: string;
  readonly width: number;
  readonly height: number;
  /** Decoded and resized as the reference does; else why the Images binding shrank it first. */
  readonly exact: true | InexactBecause;
  /** Where it was asked for. */
  readonly thumbnail?: RgbaPicture | undefined;
}

/** Of the picture itself, or of the moment: the same bytes may be read exactly the next time. */
export type InexactBecause = "type" | "size" | "busy";

export type Canonicalise = (
  bytes: Uint8Array,
  size: number,
  memory: MemoryShare,
  signal: AbortSignal,
  wants?: { readonly thumbnail: boolean },
) => Promise<CanonicalPicture>;

interface PictureToRead {
  readonly bytes: Uint8Array;
  readonly size: number;
  readonly thumbnail: boolean;
  readonly memory: MemoryShare;
  readonly signal: AbortSignal;
}

/** Throws the problems of the shared image check, image_corrupt and overloaded. */
export function canonicaliser(options: {
  readonly decoder: Decoder;
  readonly limits: ImageLimits;
  /** Undefined where no Images binding is. */
  readonly shrink: Shrink | undefined;
}): Canonicalise {
  const { decoder, limits, shrink } = options;

  async function exactly(
    { bytes, size, thumbnail: wanted, memory, signal }: PictureToRead,
    /** What is held beside the file while it is decoded. */
    beside: number,
  ): Promise<Omit<CanonicalPicture, "exact">> {
    const header = checkImage(bytes, limits);
    const needed = decodeBytes(header, bytes.length) + beside;
    const { imageId, pixels, source, thumbnail } = await memory.spend(needed, signal, () =>
      canonicalImage(bytes, { decoder, sizes: [size], limits, thumbnail: wanted }),
    );
    const own = pixels.get(size);
    if (own === undefined) throw new Error(`no pixels of side ${size} were made`);
    return { imageId, size, pixels: own, thumbnail, ...source };
  }

  async function shrunk(
    because: InexactBecause,
    picture: PictureToRead,
    through: Shrink,
  ): Promise<CanonicalPicture> {
    const { bytes, memory, signal } = picture;
    const png = await memory.spend(bytes.length + maxShrunkBytes, signal, () =>
      through(bytes, signal),
    );
    return { ...(await exactly({ ...picture, bytes: png }, bytes.length)), exact: because };
  }

  return async (bytes, size, memory, signal, { thumbnail } = { thumbnail: false }) => {
    const picture = { bytes, size, thumbnail, memory, signal };
    try {
      return { ...(await exactly(picture, 0)), exact: true };
    } catch (error) {
      if (shrink === undefined || !(error instanceof AppError)) throw error;
      const because = error.code === "overloaded" ? "busy" : elsewhere(bytes, error.code, limits);
      if (because === undefined) throw error;
      return shrunk(because, picture, shrink);
    }
  };
}
