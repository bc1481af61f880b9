// From a picture file to its id and its pixels at a model's size, within the isolate's memory. Sizes are
// judged from the header before the memory is asked for and before a pixel is decoded. What the exact
// path cannot take goes through the Images binding where there is one; the id is then that of what was
// seen, and the answer says so (`exact`).
import type { ImageId } from "@blip2-edge/shared/contracts/image";
import { canonicalImage } from "@blip2-edge/shared/image/canonical";
import type { Decoder } from "@blip2-edge/shared/image/decode";
import { elsewhere } from "@blip2-edge/shared/image/elsewhere";
import { checkImage, decodeBytes, type ImageLimits } from "@blip2-edge/shared/image/limits";
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
}

/** Of the picture itself, or of the moment: the same bytes may be read exactly the next time. */
export type InexactBecause = "type" | "size" | "busy";

export type Canonicalise = (
  bytes: Uint8Array,
  size: number,
  memory: MemoryShare,
  signal: AbortSignal,
) => Promise<CanonicalPicture>;

/** Throws the problems of the shared image check, image_corrupt and overloaded. */
export function canonicaliser(options: {
  readonly decoder: Decoder;
  readonly limits: ImageLimits;
  /** Undefined where no Images binding is. */
  readonly shrink: Shrink | undefined;
}): Canonicalise {
  const { decoder, limits, shrink } = options;

  async function exactly(
    bytes: Uint8Array,
    size: number,
    /** What is held beside the file while it is decoded. */
    beside: number,
    memory: MemoryShare,
    signal: AbortSignal,
  ): Promise<Omit<CanonicalPicture, "exact">> {
    const header = checkImage(bytes, limits);
    const { imageId, pixels, source } = await memory.spend(
      decodeBytes(header, bytes.length) + beside,
      signal,
      () => canonicalImage(bytes, { decoder, sizes: [size], limits }),
    );
    const wanted = pixels.get(size);
    if (wanted === undefined) throw new Error(`no pixels of side ${size} were made`);
    return { imageId, size, pixels: wanted, ...source };
  }

  async function shrunk(
    because: InexactBecause,
    bytes: Uint8Array,
    size: number,
    memory: MemoryShare,
    signal: AbortSignal,
    through: Shrink,
  ): Promise<CanonicalPicture> {
    const png = await memory.spend(bytes.length + maxShrunkBytes, signal, () =>
      through(bytes, signal),
    );
    const picture = await exactly(png, size, bytes.length, memory, signal);
    return { ...picture, exact: because };
  }

  return async (bytes, size, memory, signal) => {
    try {
      return { ...(await exactly(bytes, size, 0, memory, signal)), exact: true };
    } catch (error) {
      if (shrink === undefined || !(error instanceof AppError)) throw error;
      const because = error.code === "overloaded" ? "busy" : elsewhere(bytes, error.code, limits);
      if (because === undefined) throw error;
      return shrunk(because, bytes, size, memory, signal, shrink);
    }
  };
}
