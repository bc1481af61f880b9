// The one file that knows sharp: SVG to premultiplied RGBA, RGB to PNG and JPEG.

import sharp from "sharp";

sharp.concurrency(1);

/** Square picture, RGBA with the colour multiplied by alpha: `data` holds side × side × 4 floats in 0..255. */
export interface Sprite {
  readonly side: number;
  readonly data: Float32Array;
}

export async function rasterise(svg: string, side: number): Promise<Sprite> {
  const { data, info } = await sharp(Buffer.from(svg))
    .resize(side, side, { fit: "contain", background: { r: 0, g: 0, b: 0, alpha: 0 } })
    .ensureAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  if (info.width !== side || info.height !== side || info.channels !== 4) {
    throw new Error(
      `a drawing came out as ${info.width}×${info.height}×${info.channels}, not ${side}×${side}×4`,
    );
  }
  const out = new Float32Array(data.length);
  for (let at = 0; at < data.length; at += 4) {
    const alpha = data[at + 3]! / 255;
    out[at] = data[at]! * alpha;
    out[at + 1] = data[at + 1]! * alpha;
    out[at + 2] = data[at + 2]! * alpha;
    out[at + 3] = data[at + 3]!;
  }
  return { side, data: out };
}

export interface RgbImage {
  readonly width: number;
  readonly height: number;
  /** height × width × 3 */
  readonly data: Uint8Array;
}

const raw = (image: RgbImage) =>
  sharp(image.data, { raw: { width: image.width, height: image.height, channels: 3 } });

export const encodePng = (image: RgbImage): Promise<Buffer> =>
  raw(image).png({ compressionLevel: 9 }).toBuffer();
export const encodeJpeg = (image: RgbImage): Promise<Buffer> =>
  raw(image).jpeg({ quality: 88, chromaSubsampling: "4:4:4" }).toBuffer();
