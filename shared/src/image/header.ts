// The type of a picture by its first bytes and its facts from the header, without decoding a pixel.
// What is not a supported picture is refused by the name of what it is.
import { AppError } from "../problem.ts";
import { type ImageHeader, type ImageType, supportedTypes, unsupported } from "./header-facts.ts";
import { checkJpegComplete, readJpegHeader } from "./jpeg-header.ts";
import { checkPngComplete, pngSignature, readPngHeader } from "./png-header.ts";
import { sniff } from "./sniff.ts";
import { checkWebpComplete, readWebpHeader } from "./webp-header.ts";

export type { ImageHeader, ImageType } from "./header-facts.ts";

const startsWith = (bytes: Uint8Array, start: Uint8Array) =>
  start.every((byte, index) => bytes[index] === byte);
const ascii = (text: string) => new TextEncoder().encode(text);
const riff = ascii("RIFF");
const webp = ascii("WEBP");
const jpegStart = Uint8Array.of(0xff, 0xd8, 0xff);

interface Format {
  readonly read: (bytes: Uint8Array) => ImageHeader;
  readonly complete: (bytes: Uint8Array, header: ImageHeader) => ImageHeader;
}

const formats: Readonly<Record<ImageType, Format>> = {
  jpeg: { read: readJpegHeader, complete: checkJpegComplete },
  png: { read: readPngHeader, complete: checkPngComplete },
  webp: { read: readWebpHeader, complete: checkWebpComplete },
};

/** The supported type that the magic bytes announce, or undefined. */
export function imageType(bytes: Uint8Array): ImageType | undefined {
  if (startsWith(bytes, jpegStart)) return "jpeg";
  if (startsWith(bytes, pngSignature)) return "png";
  if (startsWith(bytes, riff) && startsWith(bytes.subarray(8), webp)) return "webp";
  return undefined;
}

/**
 * The header's facts. Throws image_required (no bytes), image_not_recognised, image_type_unsupported
 * or image_corrupt. Dimensions are as the file claims: compare them with limits before decoding.
 */
export function readHeader(bytes: Uint8Array): ImageHeader {
  if (bytes.length === 0) {
    throw new AppError("image_required", "The image is empty (0 bytes). Send the file's bytes.");
  }
  const type = imageType(bytes);
  if (type === undefined) throw notSupported(bytes);
  return formats[type].read(bytes);
}

function notSupported(bytes: Uint8Array): AppError {
  const { kind, name } = sniff(bytes);
  if (kind === "picture") return unsupported(name);
  return new AppError(
    "image_not_recognised",
    `This is ${name}, not an image. Send the file of a picture; ${supportedTypes} are supported.`,
  );
}

/**
 * Walks the file to its end without decoding. Throws image_corrupt when it is cut off, because
 * decoders fill the missing part with grey and say nothing; image_type_unsupported for an APNG.
 * Returns the header with the facts that stand behind it (scans, orientation of PNG and WebP).
 */
export function checkComplete(bytes: Uint8Array, header: ImageHeader): ImageHeader {
  return formats[header.type].complete(bytes, header);
}
