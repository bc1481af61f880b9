// Small pictures for tests, made on the spot: good ones, odd ones, and headers that lie.
import sharp from "sharp";

/** A picture that differs from every other number's. */
export function jpeg(seed: number, side = 64): Promise<Buffer> {
  return sharp(pattern(seed, side), { raw: { width: side, height: side, channels: 3 } })
    .jpeg({ quality: 90 })
    .toBuffer();
}

export const png = (seed: number, side = 64): Promise<Buffer> =>
  sharp(pattern(seed, side), { raw: { width: side, height: side, channels: 3 } })
    .png()
    .toBuffer();

/** A picture in another format. */
export const recoded = (bytes: Uint8Array, format: "jpeg" | "webp"): Promise<Buffer> =>
  sharp(bytes)[format]({ quality: 92 }).toBuffer();

/** The same pixels as `png(seed)` in another file. */
export const pngOtherBytes = (seed: number, side = 64): Promise<Buffer> =>
  sharp(pattern(seed, side), { raw: { width: side, height: side, channels: 3 } })
    .png({ compressionLevel: 0 })
    .toBuffer();

function pattern(seed: number, side: number): Buffer {
  const pixels = Buffer.alloc(side * side * 3);
  let state = (seed * 2_654_435_761) >>> 0;
  const [red, green, blue] = [0, 1, 2].map(() => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 24;
  });
  for (let index = 0; index < side * side; index++) {
    const x = index % side;
    pixels[index * 3] = (red ?? 0) ^ (x & 64);
    pixels[index * 3 + 1] = (green ?? 0) ^ (index >> 8);
    pixels[index * 3 + 2] = blue ?? 0;
  }
  return pixels;
}

/** A PNG whose header claims 65,000 x 65,000 pixels. */
export async function pngBomb(): Promise<Buffer> {
  const bytes = await png(1);
  bytes.writeUInt32BE(65_000, 16);
  bytes.writeUInt32BE(65_000, 20);
  bytes.writeUInt32BE(crc32(bytes.subarray(12, 29)), 29);
  return bytes;
}

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

/** A JPEG whose frame header claims 10,000 x 10,000 pixels. */
export async function hugeJpeg(): Promise<Buffer> {
  const bytes = await jpeg(2);
  const frame = bytes.indexOf(Buffer.from([0xff, 0xc0]));
  bytes.writeUInt16BE(10_000, frame + 5);
  bytes.writeUInt16BE(10_000, frame + 7);
  return bytes;
}

export async function truncatedJpeg(): Promise<Buffer> {
  const bytes = await jpeg(3, 256);
  return bytes.subarray(0, Math.floor(bytes.length * 0.6));
}

/** Two frames of one pixel. */
export const animatedGif = Buffer.from(
  "47494638396101000100800000000000ffffff21ff0b4e45545343415045322e300301000000" +
    "21f904000a0000002c00000000010001000002024401003b",
  "hex",
);

export const svg = Buffer.from(
  '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
);
export const html = Buffer.from("<!doctype html><html><body>Please sign in</body></html>");

export const cmykJpeg = async (): Promise<Buffer> =>
  sharp(await jpeg(4))
    .toColourspace("cmyk")
    .jpeg()
    .toBuffer();
export const png16 = async (): Promise<Buffer> =>
  sharp(await png(5))
    .toColourspace("rgb16")
    .png()
    .toBuffer();
export const pngPalette = async (): Promise<Buffer> =>
  sharp(await png(6))
    .png({ palette: true })
    .toBuffer();
