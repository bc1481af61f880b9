// Pictures that nobody looks at: noise, another one for every number, the same in every run.
import { createHash } from "node:crypto";

/** u8 [size, size, 3] */
export function benchPixels(size: number, picture: number): Uint8Array {
  const pixels = new Uint8Array(size * size * 3);
  let state = Math.imul(picture + 1, 0x9e3779b1) | 1;
  for (let at = 0; at < pixels.length; at += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    pixels[at] = state >>> 24;
  }
  return pixels;
}

/** Names the picture to a node; a node takes the name that it is given. */
export const benchImageId = (picture: number): string =>
  `img_${createHash("sha256").update(`bench ${picture}`).digest("hex")}`;
