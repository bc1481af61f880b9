// JPEG markers (ITU-T T.81 annex B): the frame's facts, and whether the file reaches its end.
// Entropy-coded data is skipped, never decoded. Every step is checked against the file's length.
import { type Orientation, readOrientation } from "./exif.ts";
import { corrupt, type ImageHeader, truncated, unsupported } from "./header-facts.ts";

const name = "JPEG";
const isStandalone = (marker: number) => marker === 0x01 || (marker >= 0xd0 && marker <= 0xd7);
const isFrame = (marker: number) =>
  marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;

interface Segment {
  readonly marker: number;
  /** Of the payload, after the length field. */
  readonly start: number;
  readonly end: number;
}

/** The segments one after another from the first byte after SOI; ends after EOI, else it throws. */
function* segmentsOf(bytes: Uint8Array): Generator<Segment> {
  let at = 2;
  for (;;) {
    if (bytes[at] !== 0xff) {
      if (at >= bytes.length) throw truncated(name, "no end marker");
      throw corrupt(name, `no marker at byte ${at}`);
    }
    while (bytes[at] === 0xff) at++;
    const marker = bytes[at];
    if (marker === undefined) throw truncated(name, "no end marker");
    at++;
    if (marker === 0xd9) return;
    if (isStandalone(marker)) continue;
    const high = bytes[at];
    const low = bytes[at + 1];
    if (high === undefined || low === undefined) throw truncated(name, "inside a segment");
    const length = high * 256 + low;
    if (length < 2) throw corrupt(name, `a segment of ${length} bytes at byte ${at}`);
    const end = at + length;
    if (end > bytes.length) throw truncated(name, "inside a segment");
    yield { marker, start: at + 2, end };
    at = marker === 0xda ? skipScan(bytes, end) : end;
  }
}

/** The position of the marker that ends the entropy-coded data starting at `from`. */
function skipScan(bytes: Uint8Array, from: number): number {
  let at = from;
  for (;;) {
    at = bytes.indexOf(0xff, at);
    if (at < 0 || at + 1 >= bytes.length) throw truncated(name, "inside the picture data");
    const next = bytes[at + 1] ?? 0;
    if (next === 0xff) at += 1;
    else if (next === 0 || isStandalone(next)) at += 2;
    else return at;
  }
}

function exifOrientation(bytes: Uint8Array, { start, end }: Segment): Orientation | undefined {
  const isExif =
    end - start > 6 && String.fromCharCode(...bytes.subarray(start, start + 4)) === "Exif";
  return isExif ? readOrientation(bytes.subarray(start + 6, end)) : undefined;
}

function checkFrame(marker: number, precision: number, samples: number, adobe: number | undefined) {
  if (marker === 0xc3) throw unsupported("a lossless JPEG");
  if (marker >= 0xc9) throw unsupported("a JPEG with arithmetic coding");
  if (marker > 0xc2) throw unsupported("a hierarchical JPEG");
  if (precision !== 8) throw unsupported(`a JPEG with ${precision} bits per sample`);
  if (samples === 4) {
    const space = adobe === 2 ? "YCCK" : "CMYK";
    throw unsupported(`a JPEG in ${space} colours`, "Convert it to RGB");
  }
  if (samples !== 1 && samples !== 3) throw unsupported(`a JPEG with ${samples} colour components`);
}

/** From the sampling factors: the component with the largest has one sample per pixel. */
function samplesPerPixel(frame: DataView, components: number): number {
  let sum = 0;
  let largestX = 1;
  let largestY = 1;
  for (let component = 0; component < components; component++) {
    const factors = frame.getUint8(7 + 3 * component);
    const x = factors >> 4;
    const y = factors & 15;
    if (x < 1 || x > 4 || y < 1 || y > 4) throw corrupt(name, "its sampling factors do not exist");
    sum += x * y;
    largestX = Math.max(largestX, x);
    largestY = Math.max(largestY, y);
  }
  return sum / (largestX * largestY);
}

/**
 * The facts of the first frame. Throws image_corrupt or image_type_unsupported.
 * Dimensions may still be absurd: the caller compares them with its limits.
 */
export function readJpegHeader(bytes: Uint8Array): ImageHeader {
  let orientation: Orientation = 1;
  let adobe: number | undefined;
  for (const segment of segmentsOf(bytes)) {
    const { marker, start, end } = segment;
    if (marker === 0xe1) orientation = exifOrientation(bytes, segment) ?? orientation;
    if (marker === 0xee && end - start >= 12 && bytes[start] === 0x41) adobe = bytes[start + 11];
    if (marker === 0xda) throw corrupt(name, "picture data before the frame header");
    if (!isFrame(marker)) continue;
    if (end - start < 6) throw corrupt(name, "the frame header is too short");
    const view = new DataView(bytes.buffer, bytes.byteOffset + start, end - start);
    const components = view.getUint8(5);
    checkFrame(marker, view.getUint8(0), components, adobe);
    const height = view.getUint16(1);
    const width = view.getUint16(3);
    if (height === 0) throw unsupported("a JPEG that does not give its height in the frame header");
    if (width === 0) throw corrupt(name, "it is 0 pixels wide");
    if (view.byteLength < 6 + 3 * components) throw corrupt(name, "the frame header is too short");
    return {
      type: "jpeg",
      width,
      height,
      coding: marker === 0xc2 ? "jpeg-many-scans" : "jpeg-one-scan",
      bitDepth: 8,
      samples: samplesPerPixel(view, components),
      scans: 1,
      orientation,
    };
  }
  throw corrupt(name, "it holds no picture");
}

/**
 * Walks every segment and scan to the end marker (the decoder would fill what is missing with grey)
 * and counts the scans: with more than one the decoder holds every coefficient of the picture.
 */
export function checkJpegComplete(bytes: Uint8Array, header: ImageHeader): ImageHeader {
  let scans = 0;
  for (const { marker } of segmentsOf(bytes)) if (marker === 0xda) scans++;
  if (scans === 0) throw corrupt(name, "it holds no picture data");
  return { ...header, scans, coding: scans > 1 ? "jpeg-many-scans" : header.coding };
}
