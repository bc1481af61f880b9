// A picture file on this machine as canonical pixels, by the same decoder and limits as the Worker's,
// so that both give it one id.
import { open } from "node:fs/promises";
import { type CanonicalImage, canonicalImage } from "@blip2-edge/shared/image/canonical";
import { createDecoder } from "@blip2-edge/shared/image/decode";
import { defaultImageLimits } from "@blip2-edge/shared/image/limits";
import { AppError } from "@blip2-edge/shared/problem";
import { codecModules } from "./image-codecs.ts";

export interface ReadImage {
  readonly imageId: string;
  /** u8 [size, size, 3] */
  readonly pixels: Uint8Array;
}

/** Errors: `image_required` for a file that cannot be read; those of `canonicalImage`. */
export type ImageReader = (path: string, size: number) => Promise<ReadImage>;

export function createImageReader(): ImageReader {
  const decoder = createDecoder(codecModules);
  return async (path, size) => {
    const image: CanonicalImage = await canonicalImage(await readBounded(path), {
      decoder,
      sizes: [size],
    });
    const pixels = image.pixels.get(size);
    if (pixels === undefined) throw new Error(`no pixels of size ${size}`);
    return { imageId: image.imageId, pixels };
  };
}

async function readBounded(path: string): Promise<Uint8Array> {
  const { maxBytes } = defaultImageLimits;
  try {
    await using file = await open(path);
    const { size } = await file.stat();
    if (size > maxBytes) {
      throw new AppError(
        "image_too_large",
        `${path} is ${size} bytes; at most ${maxBytes} are accepted. Send a smaller copy.`,
      );
    }
    return await file.readFile();
  } catch (error) {
    if (error instanceof AppError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new AppError("image_required", `${path} cannot be read: ${why}.`, { cause: error });
  }
}
