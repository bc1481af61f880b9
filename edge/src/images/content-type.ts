// The content type of a picture's file by what it is, whatever anybody said it was. Only of files that were read as
// pictures: what is none of these is bytes, which no browser shows.
import { imageType } from "@blip2-edge/shared/image/header";
import { sniff } from "@blip2-edge/shared/image/sniff";

/** Read by another decoder, where one is bound. */
const others: readonly (readonly [RegExp, string])[] = [
  [/\bGIF\b/, "image/gif"],
  [/\bAVIF\b/, "image/avif"],
  [/\bHEIC\b/, "image/heic"],
  [/\bHEIF\b/, "image/heif"],
];

export function contentTypeOf(bytes: Uint8Array): string {
  const type = imageType(bytes);
  if (type !== undefined) return `image/${type}`;
  const { name } = sniff(bytes);
  return others.find(([pattern]) => pattern.test(name))?.[1] ?? "application/octet-stream";
}
