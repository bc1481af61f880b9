// Large pictures, drawn pixel by pixel, and the shrinking that Miniflare's Images binding does.
import sharp from "sharp";

/** The level, 0 to 255, of one channel of one pixel; `random` is 0 to 255. */
export type Draw = (x: number, y: number, channel: number, random: number) => number;

/** The same file for the same arguments. */
export async function drawnPhoto(
  draw: Draw,
  [width, height]: readonly [number, number],
  type: "jpeg" | "png" | "webp" = "jpeg",
): Promise<Uint8Array<ArrayBuffer>> {
  const pixels = Buffer.alloc(width * height * 3);
  let state = 1;
  for (let at = 0; at < pixels.length; at++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    const pixel = Math.floor(at / 3);
    const level = draw(pixel % width, Math.floor(pixel / width), at % 3, state >>> 24);
    pixels[at] = Math.max(0, Math.min(255, level));
  }
  const image = sharp(pixels, { raw: { width, height, channels: 3 } });
  const encoded =
    type === "jpeg" ? image.jpeg({ quality: 85 }) : type === "png" ? image.png() : image.webp();
  return new Uint8Array(await encoded.toBuffer());
}

/** A PNG of at most `side` a side, by a Lanczos kernel; orientation is applied. */
export async function shrunkLocally(file: Uint8Array, side: number): Promise<Uint8Array> {
  const shrunk = sharp(file, { autoOrient: true })
    .resize(side, side, { fit: "inside", withoutEnlargement: true })
    .png();
  return new Uint8Array(await shrunk.toBuffer());
}
