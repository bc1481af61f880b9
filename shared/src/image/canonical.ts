// The canonical image: what every part of the system means by "this picture". Decoded once, converted
// to RGB and stretched as the reference does; its id is the same on the Worker and the command line.
//
// image_id = "img_" + lower-case hex of SHA-256 over these bytes, in this order:
//   "blip2-edge/image/v1" in ASCII (19 bytes), one byte 0,
//   width and height as unsigned 32-bit big-endian (8 bytes; both 224),
//   224 * 224 * 3 bytes: RGB, row by row from the top left.
import { sha256Hex } from "../hex.ts";
import type { ImageId } from "../contracts/image.ts";
import type { Decoder } from "./decode.ts";
import type { ImageType } from "./header.ts";
import { checkImage, defaultImageLimits, type ImageLimits } from "./limits.ts";
import { resampleRgb } from "./resample.ts";
import { thumbnailOf, type RgbaPicture } from "./thumbnail.ts";

/** The side whose pixels name a picture, whatever models are served. */
export const canonicalSize = 224;

export interface CanonicalImage {
  readonly imageId: ImageId;
  /** Side → RGB bytes [side, side, 3], for 224 and every size asked for. */
  readonly pixels: ReadonlyMap<number, Uint8Array>;
  readonly source: { readonly type: ImageType; readonly width: number; readonly height: number };
  /** Where it was asked for. */
  readonly thumbnail: RgbaPicture | undefined;
}

export interface CanonicalOptions {
  readonly decoder: Decoder;
  /** The models' input sides; 224 is always made. */
  readonly sizes?: readonly number[];
  readonly limits?: ImageLimits;
  /** Whether a thumbnail is made of the same decoded pixels. */
  readonly thumbnail?: boolean;
}

const domain = new TextEncoder().encode("blip2-edge/image/v1\0");

/** `rgb` holds size * size * 3 bytes. */
export async function imageIdOf(rgb: Uint8Array, size: number = canonicalSize): Promise<ImageId> {
  if (rgb.length !== size * size * 3) {
    throw new RangeError(`expected ${size * size * 3} bytes of RGB, got ${rgb.length}`);
  }
  const message = new Uint8Array(domain.length + 8 + rgb.length);
  message.set(domain);
  const view = new DataView(message.buffer);
  view.setUint32(domain.length, size);
  view.setUint32(domain.length + 4, size);
  message.set(rgb, domain.length + 8);
  return `img_${await sha256Hex(message)}`;
}

/**
 * Checks, decodes and stretches one encoded picture. Throws the AppErrors of `checkImage` and of the
 * decoder. EXIF orientation and colour profiles are not applied, as in the reference.
 */
export async function canonicalImage(
  bytes: Uint8Array,
  options: CanonicalOptions,
): Promise<CanonicalImage> {
  const header = checkImage(bytes, options.limits ?? defaultImageLimits);
  const sizes = new Set([canonicalSize, ...(options.sizes ?? [])]);
  const { pixels, thumbnail } = await options.decoder.decode(bytes, header, (source) => ({
    pixels: new Map(Array.from(sizes, (size) => [size, resampleRgb(source, size, size)])),
    thumbnail: options.thumbnail === true ? thumbnailOf(source, header.orientation) : undefined,
  }));
  const canonical = pixels.get(canonicalSize) ?? new Uint8Array();
  const { type, width, height } = header;
  const imageId = await imageIdOf(canonical);
  return { imageId, pixels, source: { type, width, height }, thumbnail };
}
