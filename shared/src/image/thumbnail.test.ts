// Thumbnails beside sharp's of the same pictures, and what must hold of any picture.
import fc from "fast-check";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { testCodecModules } from "../../../test/support/image-codecs.ts";
import { canonicalImage } from "./canonical.ts";
import { createDecoder } from "./decode.ts";
import { createWebpEncoder } from "./encode-webp.ts";
import type { Orientation } from "./exif.ts";
import { thumbnailOf, type RgbaPicture } from "./thumbnail.ts";

fc.configureGlobal({ seed: 1409 });
const orientations = [1, 2, 3, 4, 5, 6, 7, 8] as const;

/** A smooth picture that differs in every corner. */
function gradient(width: number, height: number, channels: 3 | 4 = 4) {
  const data = new Uint8Array(width * height * channels);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = (y * width + x) * channels;
      data[at] = Math.floor((x / width) * 255);
      data[at + 1] = Math.floor((y / height) * 255);
      data[at + 2] = 90;
      if (channels === 4) data[at + 3] = 255;
    }
  }
  return { data, width, height, channels };
}
const pixel = ({ data, width }: RgbaPicture, x: number, y: number): number[] => [
  ...data.subarray((y * width + x) * 4, (y * width + x) * 4 + 4),
];
const greatestDifference = (a: Uint8Array, b: Uint8Array): number =>
  a.reduce((most, value, at) => Math.max(most, Math.abs(value - (b[at] ?? NaN))), 0);

describe("sizes", () => {
  test.each([
    [4000, 3000, 320, 240],
    [300, 4000, 24, 320],
    [10_000, 8, 320, 1],
    [320, 320, 320, 320],
    [64, 48, 64, 48],
    [1, 1, 1, 1],
    [321, 100, 320, 100],
  ])("%d x %d becomes %d x %d", (width, height, toWidth, toHeight) => {
    const { data, ...size } = thumbnailOf(gradient(width, height), 1);
    expect(size).toEqual({ width: toWidth, height: toHeight });
    expect(data).toHaveLength(toWidth * toHeight * 4);
  });
});

describe("pixels", () => {
  test("what is small enough is as it was", () => {
    const source = gradient(50, 40);
    expect(thumbnailOf(source, 1).data).toEqual(source.data);
  });

  test.each([
    [1280, 960],
    [1000, 700],
    [333, 999],
  ])(
    "the mean of %d x %d is what another program's shrinking gives, nearly",
    async (width, height) => {
      const source = gradient(width, height);
      const own = thumbnailOf(source, 1);
      const raw = { width, height, channels: 4 } as const;
      const other = await sharp(source.data, { raw })
        .resize(own.width, own.height, { fit: "fill", kernel: "cubic" })
        .raw()
        .toBuffer();
      expect(greatestDifference(own.data, other)).toBeLessThanOrEqual(4);
    },
  );

  test("every source pixel counts by the area that it covers", () => {
    // 640 columns of 0 and 255 in turns: each output pixel covers one of each.
    const source = gradient(640, 2);
    for (let at = 0; at < source.data.length; at += 4) source.data[at] = at % 8 === 0 ? 0 : 255;
    expect(new Set(thumbnailOf(source, 1).data.filter((_, at) => at % 4 === 0))).toEqual(
      new Set([128]),
    );
  });

  test("transparency stays, and what nobody can see lends no colour", () => {
    const source = gradient(640, 640);
    for (let at = 0; at < source.data.length; at += 4) {
      const isRight = (at / 4) % 640 >= 320;
      source.data.set(isRight ? [255, 0, 0, 0] : [10, 20, 30, 255], at);
    }
    const made = thumbnailOf(source, 1);
    expect(pixel(made, 100, 5)).toEqual([10, 20, 30, 255]);
    expect(pixel(made, 300, 5)).toEqual([0, 0, 0, 0]);
    const half = thumbnailOf(
      { ...source, data: source.data.map((_, at) => [9, 9, 9, 128][at % 4] ?? 0) },
      1,
    );
    expect(pixel(half, 7, 7)).toEqual([9, 9, 9, 128]);
  });

  test("three channels are four that are opaque", () => {
    const [three, four] = [gradient(700, 500, 3), gradient(700, 500)];
    expect(thumbnailOf(three, 1)).toEqual(thumbnailOf(four, 1));
  });

  test("of any size and content: in bounds, and flat stays flat", () => {
    const side = fc.integer({ min: 1, max: 900 });
    fc.assert(
      fc.property(
        side,
        side,
        fc.nat(255),
        fc.constantFrom(...orientations),
        (width, height, level, orientation) => {
          const data = new Uint8Array(width * height * 4).fill(level);
          for (let at = 3; at < data.length; at += 4) data[at] = 255;
          const made = thumbnailOf({ data, width, height, channels: 4 }, orientation);
          expect(Math.max(made.width, made.height)).toBeLessThanOrEqual(320);
          const colours = new Set(new Uint32Array(made.data.buffer));
          expect(colours.size).toBe(1);
          expect(pixel(made, 0, 0)).toEqual([level, level, level, 255]);
        },
      ),
      { numRuns: 60 },
    );
  });
});

test.each(orientations)(
  "EXIF orientation %d is shown upright, as sharp turns it",
  async (orientation: Orientation) => {
    const { data, width, height, channels } = gradient(60, 40);
    const file = await sharp(data, { raw: { width, height, channels } })
      .removeAlpha()
      .png()
      .withMetadata({ orientation })
      .toBuffer();
    const decoder = createDecoder(testCodecModules);
    const { thumbnail } = await canonicalImage(new Uint8Array(file), { decoder, thumbnail: true });
    const { data: turned, info } = await sharp(file)
      .autoOrient()
      .ensureAlpha()
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect(thumbnail).toMatchObject({ width: info.width, height: info.height });
    expect(greatestDifference(thumbnail?.data ?? new Uint8Array(), turned)).toBe(0);
  },
);

test("making a thumbnail changes neither the id nor the pixels, and none is made unasked", async () => {
  const file = new Uint8Array(
    await sharp(gradient(500, 300).data, { raw: { width: 500, height: 300, channels: 4 } })
      .jpeg()
      .toBuffer(),
  );
  const decoder = createDecoder(testCodecModules);
  const [without, having] = [
    await canonicalImage(file, { decoder, sizes: [48] }),
    await canonicalImage(file, { decoder, sizes: [48], thumbnail: true }),
  ];
  expect(without.thumbnail).toBeUndefined();
  expect({ ...having, thumbnail: undefined }).toEqual(without);
});

describe("as WebP", () => {
  const encoder = createWebpEncoder(testCodecModules.webpEncoder);
  const picture = thumbnailOf(gradient(800, 600), 1);

  test("other programs read it, with its size and nearly its pixels", async () => {
    const file = await encoder.encode(picture);
    const { data, info } = await sharp(file)
      .ensureAlpha()
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect(info).toMatchObject({ width: 320, height: 240 });
    expect((await sharp(file).metadata()).format).toBe("webp");
    expect(greatestDifference(picture.data, data)).toBeLessThan(40);
    expect(file.length).toBeLessThan(8000);
  });

  test("equal pixels give equal bytes, whoever encoded what before", async () => {
    const fresh = createWebpEncoder(testCodecModules.webpEncoder);
    expect(fresh.heapBytes()).toBe(0);
    await fresh.encode(thumbnailOf(gradient(33, 77), 1));
    expect(fresh.heapBytes()).toBeGreaterThan(0);
    expect(await fresh.encode(picture)).toEqual(await encoder.encode(picture));
    fresh.drop();
    expect(fresh.heapBytes()).toBe(0);
    expect(await fresh.encode(picture)).toEqual(await encoder.encode(picture));
  });

  test("alpha is kept", async () => {
    const clear = { ...picture, data: picture.data.map((value, at) => (at % 4 === 3 ? 0 : value)) };
    const { data } = await sharp(await encoder.encode(clear))
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect(data[3]).toBe(0);
  });
});
