// How large a picture may be, judged from the header before anything is decoded, and the one check
// that every picture passes: type, sizes, cost of decoding, completeness.
import { AppError } from "../problem.ts";
import {
  type Coding,
  type ImageHeader,
  type ImageType,
  typeNames,
  unsupported,
} from "./header-facts.ts";
import { checkComplete, readHeader } from "./header.ts";

export interface ImageLimits {
  /** Of the encoded file. */
  readonly maxBytes: number;
  readonly maxPixels: number;
  readonly maxSide: number;
  /** Of a JPEG: each scan is a pass over the whole picture, and a file of a few kilobytes can ask for thousands. */
  readonly maxScans: number;
  /** Memory that file and decoder may need together; see `decodeBytes`. */
  readonly maxDecodeBytes: number;
}

/**
 * Made for a Worker, whose isolate may use 128 MB. 16 MiB of it are left to the program, the request
 * and the result; the rest is `maxDecodeBytes`. That lets pass, for example, every JPEG of 12.2
 * megapixels (every phone's) but a progressive one without colour subsampling, of which 10 pass.
 * `maxPixels` caps what takes little memory, because time grows with pixels as well.
 */
export const defaultImageLimits: ImageLimits = {
  maxBytes: 20 * 1024 * 1024,
  maxPixels: 16_777_216,
  maxSide: 16_384,
  maxScans: 100,
  maxDecodeBytes: 112 * 1024 * 1024,
};

/**
 * Bytes of the codec's memory per pixel at the peak of decoding, without the file, measured with jsquash
 * 1.6/3.1/1.5 on pictures of 3 and 12 megapixels and rounded up. Pixels are lent, never copied out.
 * 16 bits and interlacing cost a PNG nothing more.
 */
const bytesPerPixel: Readonly<Record<Coding, number>> = {
  "jpeg-one-scan": 4.5,
  "jpeg-many-scans": 4.5, // and two bytes for each coefficient
  "png-grey": 5.25,
  "png-grey-alpha": 6.5,
  "png-rgb": 9.25,
  "png-rgba": 4.5,
  "webp-lossy": 5.25,
  "webp-lossy-alpha": 9,
  "webp-lossless": 11.5,
};

/** What a codec takes as soon as it is there, and how often its memory holds the file while it decodes. */
const codecs: Readonly<Record<ImageType, { leastBytes: number; fileCopies: number }>> = {
  jpeg: { leastBytes: 16_908_288, fileCopies: 2 },
  png: { leastBytes: 1_310_720, fileCopies: 1 },
  webp: { leastBytes: 16_908_288, fileCopies: 2 },
};
/** Code, tables and stack of a codec, beside the pixels. */
const codecOwnBytes = 1_310_720;

/** What decoding will need at its peak, in bytes: the file and the decoder's memory. */
export function decodeBytes(header: ImageHeader, fileBytes: number): number {
  const { leastBytes, fileCopies } = codecs[header.type];
  const coefficients = header.coding === "jpeg-many-scans" ? 2 * header.samples : 0;
  const pixels = header.width * header.height * (bytesPerPixel[header.coding] + coefficients);
  return (
    fileBytes + Math.max(leastBytes, codecOwnBytes + Math.ceil(pixels) + fileCopies * fileBytes)
  );
}

const number = (value: number) => value.toLocaleString("en-US", { maximumFractionDigits: 0 });
const megabytes = (bytes: number) => `${number(Math.ceil(bytes / 1e6))} MB`;

function checkSize({ type, width, height }: ImageHeader, limits: ImageLimits): void {
  const size = `The ${typeNames[type]} is ${number(width)} x ${number(height)} pixels`;
  if (width > limits.maxSide || height > limits.maxSide) {
    throw new AppError(
      "image_too_large",
      `${size}; at most ${number(limits.maxSide)} on a side are accepted. Send a smaller copy.`,
    );
  }
  if (width * height > limits.maxPixels) {
    const total = `${number(width * height)} in all`;
    throw new AppError(
      "image_too_large",
      `${size}, ${total}; at most ${number(limits.maxPixels)} are accepted. Send a smaller copy.`,
    );
  }
}

function checkCost(header: ImageHeader, fileBytes: number, limits: ImageLimits): void {
  if (header.scans > limits.maxScans) {
    throw unsupported(
      `a JPEG with ${number(header.scans)} scans (at most ${number(limits.maxScans)})`,
      "Save it as an ordinary (baseline) JPEG",
    );
  }
  const needed = decodeBytes(header, fileBytes);
  if (needed <= limits.maxDecodeBytes) return;
  const advice =
    header.coding === "jpeg-many-scans"
      ? "Send a smaller copy, or save it as baseline instead of progressive."
      : "Send a smaller copy.";
  throw new AppError(
    "image_too_large",
    `Decoding this ${typeNames[header.type]} of ${number(header.width)} x ${number(header.height)} pixels` +
      ` would need ${megabytes(needed)} of memory; ${megabytes(limits.maxDecodeBytes)} are allowed. ${advice}`,
  );
}

/**
 * Everything that can be said about a picture without decoding it. Throws the AppError that names what
 * is wrong: image_required, image_not_recognised, image_type_unsupported, image_too_large,
 * image_corrupt, or body_too_large for the file itself. What it returns the decoder may be given.
 */
export function checkImage(
  bytes: Uint8Array,
  limits: ImageLimits = defaultImageLimits,
): ImageHeader {
  if (bytes.length > limits.maxBytes) {
    throw new AppError(
      "body_too_large",
      `The image file is ${number(bytes.length)} bytes; at most ${number(limits.maxBytes)} are accepted. Send a smaller copy.`,
    );
  }
  const header = readHeader(bytes);
  checkSize(header, limits);
  const checked = checkComplete(bytes, header);
  checkCost(checked, bytes.length, limits);
  return checked;
}
