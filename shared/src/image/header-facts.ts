// What an image header tells without decoding: the record that each format's reader returns.
import { AppError } from "../problem.ts";
import type { Orientation } from "./exif.ts";

export type ImageType = "jpeg" | "png" | "webp";

/** How the pixels are coded, as far as it changes what decoding costs. */
export type Coding =
  | "jpeg-one-scan"
  | "jpeg-many-scans"
  | "png-grey"
  | "png-grey-alpha"
  | "png-rgb" // and palette
  | "png-rgba"
  | "webp-lossy"
  | "webp-lossy-alpha"
  | "webp-lossless";

export interface ImageHeader {
  readonly type: ImageType;
  readonly width: number;
  readonly height: number;
  readonly coding: Coding;
  /** Bits per sample as stored. */
  readonly bitDepth: number;
  /** Samples per pixel as coded: a palette index is one, JPEG with 4:2:0 colours has 1.5. */
  readonly samples: number;
  /** Passes over the picture data; a progressive JPEG has several. */
  readonly scans: number;
  /** Read, not applied: the reference does not turn a picture either. */
  readonly orientation: Orientation;
}

export const typeNames: Readonly<Record<ImageType, string>> = {
  jpeg: "JPEG",
  png: "PNG",
  webp: "WebP",
};

export const supportedTypes = "JPEG, PNG and WebP";

/** The picture stops in the middle: a broken upload or download. */
export const truncated = (name: string, where: string): AppError =>
  new AppError(
    "image_corrupt",
    `The ${name} ends before its end (${where}). It was probably cut off on the way: send the whole file.`,
  );

export const corrupt = (name: string, what: string): AppError =>
  new AppError("image_corrupt", `The ${name} is damaged: ${what}.`);

/** A kind of picture that is known but not taken; `what` names it with its article. */
export const unsupported = (what: string, advice = "Convert it to a JPEG, PNG or WebP"): AppError =>
  new AppError("image_type_unsupported", `This is ${what}, which is not supported. ${advice}.`);
