// Which pictures that `checkImage` refuses another decoder may be given: what is too large for this one
// but not absurd, and the kinds that are common and that Cloudflare Images reads. Nothing else: no
// drawing, no archive of pages, and no file made to be expensive.
import type { ProblemCode } from "../problem.ts";
import { imageType, readHeader } from "./header.ts";
import type { ImageLimits } from "./limits.ts";
import { sniff } from "./sniff.ts";

/** Cloudflare's own limits (developers.cloudflare.com/images/get-started/limits). */
const maxElsewherePixels = 100_000_000;
const maxElsewhereSide = 12_000;

const kinds = /^an? (?:AVIF|HEIC|HEIF|GIF|animated GIF)\b/;

/** `code`: why it was refused here. `type` and `size` name what stands against it; undefined: nobody gets it. */
export function elsewhere(
  bytes: Uint8Array,
  code: ProblemCode,
  limits: Pick<ImageLimits, "maxScans">,
): "type" | "size" | undefined {
  if (code === "image_type_unsupported") {
    const type = imageType(bytes);
    if (type === undefined) return kinds.test(sniff(bytes).name) ? "type" : undefined;
    // A JPEG of many scans, in CMYK or of a rare coding; an animation.
    return type === "jpeg" && startsOfScan(bytes) > limits.maxScans ? undefined : "type";
  }
  if (code !== "image_too_large") return undefined;
  const { width, height } = readHeader(bytes);
  const fits = width * height <= maxElsewherePixels && Math.max(width, height) <= maxElsewhereSide;
  return fits ? "size" : undefined;
}

/** Counted by their markers alone, which compressed data cannot hold. */
function startsOfScan(bytes: Uint8Array): number {
  let scans = 0;
  for (let at = bytes.indexOf(0xff); at >= 0; at = bytes.indexOf(0xff, at + 1)) {
    if (bytes[at + 1] === 0xda) scans++;
  }
  return scans;
}
