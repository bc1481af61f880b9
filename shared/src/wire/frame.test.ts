import fc from "fast-check";
import { expect, test } from "vitest";
import { AppError } from "../problem.ts";
import { readFrame, writeFrame } from "./frame.ts";

fc.configureGlobal({ seed: 9421 });

const frames = fc.record({
  json: fc.string({ unit: "binary", maxLength: 300 }),
  pixels: fc.uint8Array({ maxLength: 2000 }),
});

const latin1 = (bytes: Uint8Array) => String.fromCharCode(...bytes);

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(AppError);
    if (error instanceof AppError) return error.code;
  }
  return "nothing thrown";
}

test("what is written is read back", () => {
  fc.assert(
    fc.property(frames, (frame) => {
      const { body, contentType } = writeFrame(frame);
      const read = readFrame(body, contentType);
      expect(read.json).toBe(frame.json);
      expect(Array.from(read.pixels)).toEqual(Array.from(frame.pixels));
    }),
  );
});

test("pixels are a view, and may contain the boundary", () => {
  const boundary = "fixed";
  const pixels = new TextEncoder().encode(`\r\n--${boundary}--\r\n--${boundary}\r\n`);
  const { body, contentType } = writeFrame({ json: "{}", pixels }, boundary);
  const read = readFrame(body, contentType);
  expect(latin1(read.pixels)).toBe(latin1(pixels));
  expect(read.pixels.buffer).toBe(body.buffer);
});

test("the bytes are what the protocol says", () => {
  const { body, contentType } = writeFrame({ json: "{}", pixels: Uint8Array.of(1, 2, 3) }, "b");
  expect(contentType).toBe('multipart/related; type="application/json"; boundary="b"');
  expect(latin1(body)).toBe(
    "--b\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}\r\n" +
      "--b\r\ncontent-type: application/vnd.blip2.rgb8\r\ncontent-length: 3\r\n\r\n\x01\x02\x03\r\n" +
      "--b--\r\n",
  );
});

test("every truncation is refused, and so is anything behind the end", () => {
  const { body, contentType } = writeFrame({ json: '{"a":1}', pixels: new Uint8Array(30) });
  for (let length = 0; length < body.length; length++) {
    const cut = body.subarray(0, length);
    expect(codeOf(() => readFrame(cut, contentType))).toBe("invalid_request");
  }
  const longer = new Uint8Array(body.length + 1);
  longer.set(body);
  expect(codeOf(() => readFrame(longer, contentType))).toBe("invalid_request");
});

test("a changed byte is read as written or refused, never anything else", () => {
  const { body, contentType } = writeFrame({ json: '{"text":"ä"}', pixels: new Uint8Array(64) });
  fc.assert(
    fc.property(fc.nat(body.length - 1), fc.nat(255), (at, value) => {
      const changed = body.slice();
      changed[at] = value;
      expect(["nothing thrown", "invalid_request", "body_too_large"]).toContain(
        codeOf(() => readFrame(changed, contentType)),
      );
    }),
    { numRuns: 500 },
  );
});

test("arbitrary bodies and content types only ever give an AppError", () => {
  const types = fc.oneof(
    fc.string(),
    fc.string().map((text) => `multipart/related; boundary=${text}`),
    fc.constant("multipart/related; boundary=b"),
  );
  const bodies = fc.oneof(
    fc.uint8Array({ maxLength: 400 }),
    fc.string().map((text) => new TextEncoder().encode(`--b\r\ncontent-type: ${text}`)),
  );
  fc.assert(
    fc.property(bodies, types, (body, type) => {
      expect(["invalid_request", "body_too_large"]).toContain(codeOf(() => readFrame(body, type)));
    }),
    { numRuns: 500 },
  );
});

test("limits hold for each part and for the whole", () => {
  const { body, contentType } = writeFrame({ json: "{    }", pixels: new Uint8Array(100) });
  const read = (maxJsonBytes: number, maxPixelBytes: number) =>
    codeOf(() => readFrame(body, contentType, { maxJsonBytes, maxPixelBytes }));
  expect(read(6, 100)).toBe("nothing thrown");
  expect(read(5, 100)).toBe("body_too_large");
  expect(read(6, 99)).toBe("body_too_large");
  const huge = new Uint8Array(2000);
  const limits = { maxJsonBytes: 1, maxPixelBytes: 1 };
  expect(codeOf(() => readFrame(huge, contentType, limits))).toBe("body_too_large");
});

test("JSON that is not UTF-8 is refused", () => {
  const { body, contentType } = writeFrame({ json: "aa", pixels: new Uint8Array() }, "b");
  const at = latin1(body).indexOf("aa");
  body[at] = 0xff;
  expect(codeOf(() => readFrame(body, contentType))).toBe("invalid_request");
});
