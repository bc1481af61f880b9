// The body of a request about a picture when it carries pixels: multipart/related (RFC 2387) of exactly two
// parts, the JSON and the raw RGB. Both ends are ours, so the reader takes only what the writer
// writes; it looks at each byte of the framing once and copies no pixels.
import { AppError } from "../problem.ts";

export const pixelsType = "application/vnd.blip2.rgb8";
export const framedType = "multipart/related";

export interface Frame {
  /** The JSON part as text; parse it with the request's schema. */
  readonly json: string;
  readonly pixels: Uint8Array;
}

export interface FramedBody {
  readonly body: Uint8Array;
  readonly contentType: string;
}

export interface FrameLimits {
  readonly maxJsonBytes: number;
  readonly maxPixelBytes: number;
}

/** 16 texts of 8,192 characters or 64 of 2,500, with room for escapes; one 1,024-pixel image. */
export const defaultFrameLimits: FrameLimits = {
  maxJsonBytes: 1024 * 1024,
  maxPixelBytes: 1024 * 1024 * 3,
};

/** All the framing there can be: boundary lines and part headers. A body larger than the limits and this is refused unread. */
const maxFramingBytes = 1024;

export const maxFramedBytes = (limits: FrameLimits = defaultFrameLimits): number =>
  limits.maxJsonBytes + limits.maxPixelBytes + maxFramingBytes;

const encoder = new TextEncoder();
const boundaryPattern = /^[0-9A-Za-z'()+_,\-./:=?]{1,70}$/; // RFC 2046 section 5.1.1, without space

function headOf(boundary: string, pixelBytes: number, jsonBytes: number) {
  const json = `--${boundary}\r\ncontent-type: application/json\r\ncontent-length: ${jsonBytes}\r\n\r\n`;
  const pixels = `\r\n--${boundary}\r\ncontent-type: ${pixelsType}\r\ncontent-length: ${pixelBytes}\r\n\r\n`;
  return { json: encoder.encode(json), pixels: encoder.encode(pixels) };
}

const randomBoundary = () => `blip2-${crypto.randomUUID()}`;

/**
 * Frames JSON text and pixels. Every part carries its length, so the boundary need not be absent from
 * the pixels. Throws RangeError for a boundary that RFC 2046 does not allow.
 */
export function writeFrame(frame: Frame, boundary: string = randomBoundary()): FramedBody {
  if (!boundaryPattern.test(boundary)) throw new RangeError("the boundary is not allowed");
  const json = encoder.encode(frame.json);
  const heads = headOf(boundary, frame.pixels.length, json.length);
  const parts = [
    heads.json,
    json,
    heads.pixels,
    frame.pixels,
    encoder.encode(`\r\n--${boundary}--\r\n`),
  ];
  const body = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    body.set(part, at);
    at += part.length;
  }
  const contentType = `${framedType}; type="application/json"; boundary="${boundary}"`;
  return { body, contentType };
}

const refuse = (what: string): AppError =>
  new AppError(
    "invalid_request",
    `The multipart/related body is not as the protocol says: ${what}.`,
  );

function boundaryOf(contentType: string): string {
  if (contentType.length > 256) throw refuse("its content type is too long");
  const [type, ...parameters] = contentType.split(";");
  if (type?.trim().toLowerCase() !== framedType)
    throw refuse(`its content type is not ${framedType}`);
  for (const parameter of parameters) {
    const value = /^\s*boundary\s*=\s*(?:"([^"]*)"|([^\s"]+))\s*$/i.exec(parameter);
    const boundary = value?.[1] ?? value?.[2];
    if (boundary !== undefined && boundaryPattern.test(boundary)) return boundary;
  }
  throw refuse("its content type gives no boundary");
}

/** Reads one part's head at `at`; gives where its content starts and ends. */
function readHead(body: Uint8Array, at: number, opening: string, type: string, maxBytes: number) {
  // The head of the writer, with the length still open: what follows it is digits and an empty line.
  const start = encoder.encode(`${opening}\r\ncontent-type: ${type}\r\ncontent-length: `);
  if (!matches(body, at, start)) throw refuse(`the part ${type} does not begin as expected`);
  let position = at + start.length;
  let length = 0;
  let digits = 0;
  for (; digits < 8; digits++, position++) {
    const digit = (body[position] ?? 0) - 48;
    if (digit < 0 || digit > 9) break;
    length = length * 10 + digit;
  }
  if (digits === 0 || !matches(body, position, encoder.encode("\r\n\r\n"))) {
    throw refuse(`the part ${type} gives no length`);
  }
  if (length > maxBytes) {
    throw new AppError("body_too_large", `The part ${type} may hold at most ${maxBytes} bytes.`);
  }
  const from = position + 4;
  const to = from + length;
  if (to > body.length) throw refuse(`it ends inside the part ${type}`);
  return { from, to };
}

const matches = (body: Uint8Array, at: number, expected: Uint8Array): boolean =>
  at + expected.length <= body.length && expected.every((byte, index) => body[at + index] === byte);

/**
 * Reads what `writeFrame` wrote; `pixels` is a view into `body`. Throws invalid_request for anything
 * else and body_too_large beyond the limits, never another error.
 */
export function readFrame(
  body: Uint8Array,
  contentType: string,
  limits: FrameLimits = defaultFrameLimits,
): Frame {
  if (body.length > maxFramedBytes(limits)) {
    throw new AppError(
      "body_too_large",
      `The body may hold at most ${maxFramedBytes(limits)} bytes.`,
    );
  }
  const boundary = boundaryOf(contentType);
  const json = readHead(body, 0, `--${boundary}`, "application/json", limits.maxJsonBytes);
  const next = `\r\n--${boundary}`;
  const pixels = readHead(body, json.to, next, pixelsType, limits.maxPixelBytes);
  const end = encoder.encode(`${next}--\r\n`);
  if (!matches(body, pixels.to, end) || pixels.to + end.length !== body.length) {
    throw refuse("it does not end after two parts");
  }
  return {
    json: decodeUtf8(body.subarray(json.from, json.to)),
    pixels: body.subarray(pixels.from, pixels.to),
  };
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new AppError("invalid_request", "The JSON part is not UTF-8.", { cause });
  }
}
