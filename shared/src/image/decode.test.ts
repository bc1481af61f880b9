import fc from "fast-check";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { testCodecModules } from "../../../test/support/image-codecs.ts";
import { AppError } from "../problem.ts";
import { canonicalImage } from "./canonical.ts";
import { createDecoder } from "./decode.ts";
import goldens from "./golden/canonical.json" with { type: "json" };
import { checkImage, decodeBytes } from "./limits.ts";

fc.configureGlobal({ seed: 9421 });

const files = new Map(
  goldens.cases.map(({ name, base64 }) => [name, new Uint8Array(Buffer.from(base64, "base64"))]),
);
const fileOf = (name: string): Uint8Array => files.get(name) ?? new Uint8Array();
const one = (type: string) =>
  fileOf(type === "jpeg" ? "jpeg 4:2:0" : `${type} ${type === "png" ? "rgb" : "lossy"}`);
const types = ["jpeg", "png", "webp"] as const;

/** A picture of noise in greys, as raw RGB. */
const noise = (width: number, height: number) =>
  Uint8Array.from({ length: width * height * 3 }, (_, index) => (index * index * 31) >>> 7);
const raw = (width: number, height: number) =>
  sharp(noise(width, height), { raw: { width, height, channels: 3 } });

describe("pixels", () => {
  test("a 16-bit greyscale PNG is scaled, not clipped", async () => {
    const values = Uint16Array.of(0, 255, 256, 32768, 40000, 65535);
    const bytes = await sharp(values, { raw: { width: 6, height: 1, channels: 1 } })
      .toColourspace("grey16")
      .png()
      .toBuffer();
    const header = checkImage(bytes);
    expect(header).toMatchObject({ bitDepth: 16, samples: 1 });
    const decoder = createDecoder(testCodecModules);
    const reds = await decoder.decode(bytes, header, ({ data }) =>
      [0, 1, 2, 3, 4, 5].map((pixel) => data[pixel * 4]),
    );
    expect(reds).toEqual([0, 0, 1, 128, 156, 255]);
  });

  test("an interlaced PNG gives the pixels of the plain one", async () => {
    const decoder = createDecoder(testCodecModules);
    const id = async (progressive: boolean) => {
      const bytes = await raw(61, 45).png({ progressive }).toBuffer();
      return (await canonicalImage(bytes, { decoder })).imageId;
    };
    expect(await id(true)).toBe(await id(false));
  });

  test("what the decoder lends has the header's size in four channels", async () => {
    const decoder = createDecoder(testCodecModules);
    for (const type of types) {
      const bytes = one(type);
      const seen = await decoder.decode(bytes, checkImage(bytes), (pixels) => ({
        ...pixels,
        data: pixels.data.length,
      }));
      expect(seen).toEqual({ width: 37, height: 29, channels: 4, data: 37 * 29 * 4 });
    }
  });
});

describe("failures", () => {
  test("other dimensions than the header's are refused", async () => {
    const decoder = createDecoder(testCodecModules);
    for (const type of types) {
      const bytes = one(type);
      const header = { ...checkImage(bytes), width: 38 };
      const attempt = decoder.decode(bytes, header, () => "used");
      await expect(attempt).rejects.toMatchObject({ code: "image_corrupt" });
    }
  });

  test("what the user of the pixels throws passes through", async () => {
    const decoder = createDecoder(testCodecModules);
    for (const type of types) {
      const bytes = one(type);
      const attempt = decoder.decode(bytes, checkImage(bytes), () => {
        throw new RangeError("mine");
      });
      await expect(attempt).rejects.toThrow(new RangeError("mine"));
    }
  });

  test("a codec that cannot be loaded is asked for again", async () => {
    let calls = 0;
    const decoder = createDecoder({
      ...testCodecModules,
      png: () => {
        calls++;
        return calls === 1 ? Promise.reject(new Error("no module")) : testCodecModules.png();
      },
    });
    const bytes = one("png");
    await expect(decoder.decode(bytes, checkImage(bytes), () => 1)).rejects.toThrow("no module");
    expect(await decoder.decode(bytes, checkImage(bytes), () => 1)).toBe(1);
  });

  test("damaged files give a picture or image_corrupt, and the next picture is unharmed", async () => {
    const decoder = createDecoder(testCodecModules);
    const good = goldens.cases.find(({ name }) => name === "jpeg 4:2:0");
    const damage = fc.record({
      name: fc.constantFrom(...files.keys()),
      changes: fc.array(fc.tuple(fc.integer({ min: 0, max: 100_000 }), fc.nat(255)), {
        minLength: 1,
        maxLength: 8,
      }),
    });
    const codes = new Set<string>();
    await fc.assert(
      fc.asyncProperty(damage, async ({ name, changes }) => {
        const bytes = fileOf(name).slice();
        for (const [where, value] of changes) bytes[where % bytes.length] = value;
        try {
          await canonicalImage(bytes, { decoder });
        } catch (error) {
          expect(error).toBeInstanceOf(AppError);
          if (error instanceof AppError) codes.add(error.code);
        }
      }),
      { numRuns: 400 },
    );
    expect(codes).toContain("image_corrupt");
    expect(codes).not.toContain("internal");
    expect((await canonicalImage(one("jpeg"), { decoder })).imageId).toBe(good?.image_id);
  });
});

describe("memory", () => {
  test("pixels are lent from the codec's own memory, and the globals are as before", async () => {
    const before = Object.getOwnPropertyDescriptor(globalThis, "Uint8ClampedArray");
    const decoder = createDecoder(testCodecModules);
    for (const type of types) {
      const bytes = one(type);
      const seen = await decoder.decode(bytes, checkImage(bytes), ({ data }) => ({
        // A copy would have a buffer of its own, as long as the pixels.
        inside: data.buffer.byteLength > 1_000_000,
        clamped: globalThis.Uint8ClampedArray,
      }));
      expect(seen).toEqual({ inside: true, clamped: before?.value });
    }
    expect(Object.getOwnPropertyDescriptor(globalThis, "Uint8ClampedArray")).toEqual(before);
  });

  test("what decoding needs is not more than it was said to need", async () => {
    const width = 2400;
    const height = 1800;
    const picture = raw(width, height);
    const files = await Promise.all([
      picture.clone().jpeg({ quality: 90 }).toBuffer(),
      picture.clone().jpeg({ quality: 90, progressive: true }).toBuffer(),
      picture.clone().jpeg({ progressive: true, chromaSubsampling: "4:4:4" }).toBuffer(),
      picture.clone().png({ compressionLevel: 1 }).toBuffer(),
      picture.clone().webp({ effort: 0 }).toBuffer(),
      picture.clone().webp({ lossless: true, effort: 0 }).toBuffer(),
    ]);
    for (const bytes of files) {
      const decoder = createDecoder(testCodecModules, { maxIdleHeapBytes: 1e9 });
      const header = checkImage(bytes);
      await decoder.decode(bytes, header, () => 1);
      expect(decoder.heapBytes() + bytes.length, header.coding).toBeLessThanOrEqual(
        decodeBytes(header, bytes.length),
      );
    }
  });

  test("one codec is kept at most", async () => {
    const decoder = createDecoder(testCodecModules);
    const heaps: number[] = [];
    for (const type of types) {
      await decoder.decode(one(type), checkImage(one(type)), () => 1);
      heaps.push(decoder.heapBytes());
    }
    expect(heaps[1]).toBeLessThan(4_000_000);
    expect(heaps[2]).toBeGreaterThan(16_000_000);
  });

  test("a codec that grew is dropped, a small one is kept", async () => {
    let loads = 0;
    const decoder = createDecoder(
      { ...testCodecModules, png: () => (loads++, testCodecModules.png()) },
      { maxIdleHeapBytes: 8 * 1024 * 1024 },
    );
    const large = await raw(1500, 1500).png({ compressionLevel: 1 }).toBuffer();
    const small = one("png");
    await decoder.decode(small, checkImage(small), () => 1);
    await decoder.decode(small, checkImage(small), () => 1);
    expect(loads).toBe(1);
    expect(decoder.heapBytes()).toBeGreaterThan(0);
    await decoder.decode(large, checkImage(large), () => 1);
    expect(decoder.heapBytes()).toBe(0);
    await decoder.decode(small, checkImage(small), () => 1);
    expect(loads).toBe(2);
  });

  test("the same picture again and again does not grow the codec", async () => {
    const decoder = createDecoder(testCodecModules, { maxIdleHeapBytes: 1e9 });
    for (const type of types) {
      const bytes = one(type);
      const heaps = new Set<number>();
      for (let round = 0; round < 60; round++) {
        await decoder.decode(bytes, checkImage(bytes), () => 1);
        if (round >= 10) heaps.add(decoder.heapBytes());
      }
      expect(heaps.size).toBe(1);
    }
  });

  test("a compressed profile does not reach the decoder", async () => {
    const { deflateSync } = await import("node:zlib");
    const { crc32 } = await import("node:zlib");
    const profile = deflateSync(new Uint8Array(40 * 1024 * 1024));
    const data = Buffer.concat([Buffer.from("iCCPname\0\0", "latin1"), profile]);
    const frame = Buffer.alloc(8);
    frame.writeUInt32BE(data.length - 4);
    frame.writeUInt32BE(crc32(data), 4);
    const chunk = Buffer.concat([frame.subarray(0, 4), data, frame.subarray(4)]);
    const plain = one("png");
    const bytes = Buffer.concat([plain.subarray(0, 33), chunk, plain.subarray(33)]);
    const decoder = createDecoder(testCodecModules, { maxIdleHeapBytes: 1e9 });
    await decoder.decode(bytes, checkImage(bytes), () => 1);
    expect(decoder.heapBytes()).toBeLessThan(4 * 1024 * 1024);
  });
});
