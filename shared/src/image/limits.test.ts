// checkImage and all that stands under it: the readers of headers, the walk to the end, the names of
// what is no picture.
import { crc32 } from "node:zlib";
import fc from "fast-check";
import sharp from "sharp";
import { beforeAll, describe, expect, test } from "vitest";
import { AppError } from "../problem.ts";
import goldens from "./golden/canonical.json" with { type: "json" };
import { imageType, readHeader, type ImageHeader } from "./header.ts";
import { checkImage, decodeBytes, defaultImageLimits } from "./limits.ts";

fc.configureGlobal({ seed: 9421 });

const ascii = (text: string) => new Uint8Array(Buffer.from(text, "latin1"));
const golden = (name: string): Uint8Array => {
  const found = goldens.cases.find((entry) => entry.name === name);
  if (!found) throw new Error(`no golden ${name}`);
  return new Uint8Array(Buffer.from(found.base64, "base64"));
};

/** "code: detail" of what checkImage throws, or the header's JSON. */
function outcome(bytes: Uint8Array, limits = defaultImageLimits): string {
  try {
    return JSON.stringify(checkImage(bytes, limits));
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return `${error.code}: ${error.detail}`;
  }
}

function pngChunk(type: string, data: Uint8Array): Buffer {
  const chunk = Buffer.alloc(12 + data.length);
  chunk.writeUInt32BE(data.length);
  chunk.write(type, 4, "latin1");
  chunk.set(data, 8);
  chunk.writeUInt32BE(crc32(chunk.subarray(4, 8 + data.length)), 8 + data.length);
  return chunk;
}

/** A PNG whose header claims a size that its data does not have. */
function pngClaiming(width: number, height: number): Uint8Array {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width);
  header.writeUInt32BE(height, 4);
  header.set([8, 2], 8);
  const parts = [
    pngChunk("IHDR", header),
    pngChunk("IDAT", ascii("x")),
    pngChunk("IEND", ascii("")),
  ];
  return Buffer.concat([ascii("\x89PNG\r\n\x1a\n"), ...parts]);
}

const jpegFrame = (bytes: Uint8Array) =>
  bytes.findIndex((byte, at) => byte === 0xff && [0xc0, 0xc2].includes(bytes[at + 1] ?? 0));

function jpegWith(change: (frame: DataView) => void): Uint8Array {
  const bytes = golden("jpeg 4:4:4").slice();
  change(new DataView(bytes.buffer, jpegFrame(bytes)));
  return bytes;
}

const jpegClaiming = (width: number, height: number) =>
  jpegWith((frame) => {
    frame.setUint16(5, height);
    frame.setUint16(7, width);
  });

describe("what is accepted", () => {
  test("every golden, with its facts", () => {
    for (const { name } of goldens.cases) {
      const header = checkImage(golden(name));
      expect(header).toMatchObject({ type: name.split(" ")[0], width: 37, height: 29 });
    }
    expect(checkImage(golden("jpeg 4:2:0"))).toMatchObject({
      coding: "jpeg-one-scan",
      samples: 1.5,
      scans: 1,
    });
    expect(checkImage(golden("jpeg 4:2:2 progressive"))).toMatchObject({
      coding: "jpeg-many-scans",
      samples: 2,
      scans: 10,
    });
    expect(checkImage(golden("png palette"))).toMatchObject({ bitDepth: 4, samples: 1 });
    for (const [name, coding] of Object.entries({
      "png palette": "png-rgb",
      "png grey": "png-grey",
      "png 16-bit grey with alpha": "png-grey-alpha",
      "png 16-bit rgba": "png-rgba",
      "webp lossy": "webp-lossy",
      "webp lossy with alpha": "webp-lossy-alpha",
      "webp lossless": "webp-lossless",
    })) {
      expect(checkImage(golden(name)), name).toMatchObject({ coding });
    }
  });

  test("a JPEG with something behind its end", () => {
    const bytes = Buffer.concat([golden("jpeg grey"), ascii("\0\0a motion photo's video")]);
    expect(checkImage(bytes)).toMatchObject({ width: 37, samples: 1 });
  });

  test("a view into a larger buffer", () => {
    for (const name of ["jpeg 4:2:0", "png rgba", "webp lossy with alpha"]) {
      const bytes = golden(name);
      const larger = new Uint8Array(bytes.length + 20);
      larger.set(bytes, 7);
      expect(checkImage(larger.subarray(7, 7 + bytes.length))).toEqual(checkImage(bytes));
    }
  });
});

describe("what is no picture is named", () => {
  const cases: Record<string, [string | Uint8Array, string]> = {
    HTML: ["\n<!DOCTYPE html><html><body>Not found</body></html>", "an HTML page"],
    "HTML with a comment first": ["<!-- x --><HTML><head>", "an HTML page"],
    SVG: ['<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"],
    XML: ['<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>', "an XML document"],
    JSON: ['{"error":"not found"}', "JSON"],
    PDF: ["%PDF-1.7\n", "a PDF document"],
    text: ["hello, world", "text"],
    "text beyond ASCII": [new TextEncoder().encode("grüße ".repeat(300)), "text"],
    "a data URL": ["data:image/png;base64,iVBORw0KGgo=", "a data URL as text"],
    MP4: ["\0\0\0\x18ftypisom\0\0\0\0", "an MP4 video"],
    ZIP: ["PK\x03\x04\x14\0", "a ZIP archive"],
    gzip: ["\x1f\x8b\x08\0", "a gzip archive"],
    "random bytes": ["\x8f\x02\xd5\x00\xfe\x11", "data of an unknown kind"],
    "one byte of a JPEG": ["\xff", "data of an unknown kind"],
    "a RIFF that is no WebP": ["RIFF\x10\0\0\0WAVEfmt ", "data of an unknown kind"],
  };
  for (const [name, [content, named]] of Object.entries(cases)) {
    test(name, () => {
      const bytes = typeof content === "string" ? ascii(content) : content;
      expect(outcome(bytes)).toContain(`image_not_recognised: This is ${named}`);
      expect(outcome(bytes)).toContain("JPEG, PNG and WebP are supported");
    });
  }

  test("nothing at all", () => {
    expect(outcome(new Uint8Array())).toContain("image_required");
  });
});

describe("pictures of another kind are named, with what to do", () => {
  test("GIF, still and animated", async () => {
    const frame = { width: 5, height: 4, channels: 3 as const, background: "#f00" };
    const still = await sharp({ create: frame }).gif().toBuffer();
    const frames = Uint8Array.from({ length: 5 * 8 * 3 }, (_, index) => index);
    const animated = await sharp(frames, {
      raw: { width: 5, height: 8, channels: 3, pageHeight: 4 },
    })
      .gif({ delay: 10 })
      .toBuffer();
    expect(outcome(still)).toContain("image_type_unsupported: This is a GIF of 5 x 4 pixels");
    expect(outcome(animated)).toContain("This is an animated GIF of 5 x 4 pixels");
    expect(outcome(animated)).toContain("Convert it to a JPEG, PNG or WebP");
  });

  const brands = (major: string, compatible = "") =>
    `\0\0\0${String.fromCharCode(16 + compatible.length)}ftyp${major}\0\0\0\0${compatible}`;
  const cases: Record<string, string> = {
    "an AVIF image": brands("avif"),
    "a HEIC image": brands("mif1", "mif1heic"),
    "a HEIF image": brands("mif1"),
    "a BMP image": "BM\x46\0\0\0\0\0\0\0\x36\0\0\0",
    "a TIFF image": "II*\0\x08\0\0\0",
    "a JPEG XL image": "\xff\x0a\xfa\x1f",
    "a Photoshop document (PSD)": "8BPS\0\x01",
    "an icon (ICO)": "\0\0\x01\0\x01\0",
  };
  for (const [name, content] of Object.entries(cases)) {
    test(name, () => {
      expect(outcome(ascii(content))).toContain(`image_type_unsupported: This is ${name}`);
    });
  }

  test("JPEG in CMYK, as a real encoder writes it", async () => {
    const bytes = await sharp(golden("png rgb")).toColourspace("cmyk").jpeg().toBuffer();
    expect(outcome(bytes)).toMatch(/image_type_unsupported: This is a JPEG in (CMYK|YCCK) colours/);
    expect(outcome(bytes)).toContain("Convert it to RGB");
  });

  test("JPEG with arithmetic coding, lossless, 12 bits, two components, no height", () => {
    const marker = (value: number) => jpegWith((frame) => frame.setUint8(1, value));
    expect(outcome(marker(0xc9))).toContain("a JPEG with arithmetic coding");
    expect(outcome(marker(0xc3))).toContain("a lossless JPEG");
    expect(outcome(marker(0xc5))).toContain("a hierarchical JPEG");
    const twelve = jpegWith((frame) => frame.setUint8(4, 12));
    expect(outcome(twelve)).toContain("a JPEG with 12 bits per sample");
    const two = jpegWith((frame) => frame.setUint8(9, 2));
    expect(outcome(two)).toContain("a JPEG with 2 colour components");
    expect(outcome(jpegClaiming(37, 0))).toContain("does not give its height");
  });

  test("APNG and animated WebP", () => {
    const plain = golden("png rgb");
    const control = pngChunk("acTL", new Uint8Array(8));
    const apng = Buffer.concat([plain.subarray(0, 33), control, plain.subarray(33)]);
    expect(outcome(apng)).toContain("image_type_unsupported: This is an animated PNG (APNG)");
    const webp = golden("webp with orientation 6").slice();
    expect(String.fromCharCode(...webp.subarray(12, 16))).toBe("VP8X");
    webp[20] = (webp[20] ?? 0) | 0x02;
    expect(outcome(webp)).toContain("image_type_unsupported: This is an animated WebP");
  });

  test("a JPEG with thousands of scans", () => {
    const bytes = golden("jpeg 4:2:0");
    const start = bytes.findIndex((byte, at) => byte === 0xff && bytes[at + 1] === 0xda);
    const scan = bytes.subarray(start, bytes.length - 2);
    const many = Buffer.concat([
      bytes.subarray(0, start),
      ...Array.from({ length: 101 }, () => scan),
      bytes.subarray(-2),
    ]);
    expect(outcome(many)).toContain("image_type_unsupported: This is a JPEG with 101 scans");
  });
});

describe("too large is seen in the header", () => {
  test("a PNG of 65,000 x 65,000", () => {
    expect(outcome(pngClaiming(65_000, 65_000))).toContain(
      "image_too_large: The PNG is 65,000 x 65,000 pixels; at most 16,384 on a side",
    );
  });

  test("a JPEG of 100 megapixels", () => {
    expect(outcome(jpegClaiming(10_000, 10_000))).toContain(
      "image_too_large: The JPEG is 10,000 x 10,000 pixels, 100,000,000 in all; at most 16,777,216",
    );
  });

  test("before the file's completeness is looked at", () => {
    expect(outcome(pngClaiming(65_000, 65_000).subarray(0, 40))).toContain("image_too_large");
    expect(outcome(jpegClaiming(10_000, 10_000).subarray(0, -40))).toContain("image_too_large");
  });

  test("a side, the pixels, the file and the memory each have their limit, which is configurable", () => {
    const bytes = golden("png rgb");
    const limited = (limits: Partial<typeof defaultImageLimits>) =>
      outcome(bytes, { ...defaultImageLimits, ...limits });
    expect(limited({ maxSide: 37, maxPixels: 37 * 29 })).toContain('"png"');
    expect(limited({ maxSide: 36 })).toContain("at most 36 on a side");
    expect(limited({ maxPixels: 37 * 29 - 1 })).toContain("at most 1,072 are accepted");
    expect(limited({ maxBytes: bytes.length - 1 })).toContain("body_too_large");
    expect(limited({ maxDecodeBytes: 1000 })).toContain("image_too_large: Decoding this PNG");
  });

  test("a phone's picture passes, progressive too; a larger progressive one is told why not", () => {
    const progressive = golden("jpeg 4:2:2 progressive").slice();
    const frame = new DataView(progressive.buffer, jpegFrame(progressive));
    const claiming = (width: number, height: number) => {
      frame.setUint16(5, height);
      frame.setUint16(7, width);
      return outcome(progressive);
    };
    expect(outcome(jpegClaiming(4032, 3024))).toContain('"jpeg"');
    expect(claiming(4032, 3024)).toContain('"jpeg-many-scans"');
    expect(outcome(jpegClaiming(4608, 3456))).toContain('"jpeg"');
    expect(claiming(4608, 3456)).toContain("save it as baseline instead of progressive");
  });

  test("no picture costs less than a codec takes when it starts", () => {
    for (const { name } of goldens.cases) {
      const bytes = golden(name);
      const least = name.startsWith("png") ? 1_310_720 : 16_908_288;
      expect(decodeBytes(checkImage(bytes), bytes.length)).toBeGreaterThanOrEqual(least);
    }
  });

  test("what a JPEG costs counts its scans, whatever its frame calls itself", () => {
    const bytes = golden("jpeg 4:2:0");
    const start = bytes.findIndex((byte, at) => byte === 0xff && bytes[at + 1] === 0xda);
    const twice = Buffer.concat([
      bytes.subarray(0, -2),
      bytes.subarray(start, -2),
      bytes.subarray(-2),
    ]);
    const [plain, scanned] = [checkImage(bytes), checkImage(twice)];
    expect(scanned.coding).toBe("jpeg-many-scans");
    // At a size where the pixels count, not what the codec takes at its start.
    const cost = (header: ImageHeader) => decodeBytes({ ...header, width: 4000, height: 3000 }, 0);
    expect(cost(scanned) - cost(plain)).toBe(4000 * 3000 * 3);
  });
});

describe("cut off or damaged", () => {
  test("every file, cut anywhere, is refused", () => {
    for (const { name } of goldens.cases) {
      const bytes = golden(name);
      for (let length = 12; length < bytes.length; length += length < 80 ? 1 : 13) {
        const said = outcome(bytes.subarray(0, length));
        expect(said, `${name} at ${length}`).toMatch(/^image_corrupt: .*ends before its end/);
      }
      const [type = ""] = name.split(" ");
      const names: Record<string, string> = { jpeg: "JPEG", png: "PNG", webp: "WebP" };
      expect(outcome(bytes.subarray(0, -1))).toContain(`The ${names[type]} ends before its end`);
    }
  });

  test("faults in the structure are named", () => {
    const png = golden("png rgb");
    const changed = (at: number, value: number) => {
      const bytes = png.slice();
      bytes[at] = value;
      return bytes;
    };
    expect(outcome(changed(24, 3))).toContain("colour type 2 with 3 bits does not exist");
    expect(outcome(changed(12, 0x4a))).toContain("does not begin with an IHDR chunk");
    expect(outcome(changed(37, 1))).toContain("no chunk at byte 33");
    expect(outcome(pngClaiming(0, 5))).toContain("it is 0 x 5 pixels");
    const noData = Buffer.concat([png.subarray(0, 33), pngChunk("IEND", ascii(""))]);
    expect(outcome(noData)).toContain("it holds no picture data");
    expect(outcome(jpegClaiming(0, 5))).toContain("it is 0 pixels wide");
    expect(outcome(ascii("\xff\xd8\xff\xd9"))).toContain("it holds no picture");
    expect(outcome(ascii("\xff\xd8\xff\xe0\0\x01"))).toContain("a segment of 1 bytes");
    const canvas = golden("webp with orientation 6").slice();
    canvas[24] = 99;
    expect(outcome(canvas)).toContain("its canvas and its picture differ in size");
  });
});

describe("any bytes at all", () => {
  const magics = [
    "\xff\xd8\xff",
    "\x89PNG\r\n\x1a\n",
    "RIFF\x40\0\0\0WEBPVP8 ",
    "GIF89a",
    "\0\0\0\x20ftyp",
  ];
  const anything = fc
    .tuple(fc.constantFrom("", ...magics), fc.uint8Array({ maxLength: 300 }))
    .map(([magic, rest]) => Buffer.concat([ascii(magic), rest]));

  test("give a header or an AppError of the picture's kind", () => {
    fc.assert(
      fc.property(anything, (bytes) => {
        expect(outcome(bytes)).toMatch(
          /^(\{|image_(required|not_recognised|type_unsupported|corrupt|too_large): )/,
        );
      }),
      { numRuns: 2000 },
    );
  });

  test("also when a real file is damaged", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...goldens.cases.map(({ name }) => name)),
        fc.nat(4000),
        fc.nat(255),
        (name, where, value) => {
          const bytes = golden(name).slice();
          bytes[where % Math.min(bytes.length, 700)] = value;
          expect(outcome(bytes)).toMatch(
            /^(\{|image_(not_recognised|type_unsupported|corrupt|too_large): )/,
          );
        },
      ),
      { numRuns: 1500 },
    );
  });

  let large: Uint8Array;
  beforeAll(() => {
    // 20 MB of segments, chunks and stuffed bytes: what is slow per byte shows here.
    large = new Uint8Array(20 * 1024 * 1024).fill(0xff);
    large.set([0xff, 0xd8]);
  });

  test("are walked in time linear to their length", () => {
    const started = performance.now();
    expect(outcome(large)).toContain("image_corrupt");
    const segments = new Uint8Array(20 * 1024 * 1024);
    for (let at = 2; at + 4 <= segments.length; at += 4) segments.set([0xff, 0xe2, 0, 2], at);
    segments.set([0xff, 0xd8]);
    expect(outcome(segments)).toContain("image_corrupt");
    expect(performance.now() - started).toBeLessThan(8000);
  });
});

test("the type is told by the first bytes alone", () => {
  expect(imageType(golden("jpeg grey"))).toBe("jpeg");
  expect(imageType(golden("png 1 bit"))).toBe("png");
  expect(imageType(golden("webp lossy"))).toBe("webp");
  expect(imageType(ascii("GIF89a"))).toBeUndefined();
  expect(readHeader(golden("webp lossy"))).toMatchObject({ width: 37, height: 29 });
});
