// WebP's RIFF container (RFC 9649): dimensions from VP8, VP8L and VP8X, animation flag, completeness.
import { type Orientation, readOrientation } from "./exif.ts";
import { type Coding, corrupt, type ImageHeader, truncated, unsupported } from "./header-facts.ts";

const name = "WebP";

interface Chunk {
  readonly type: string;
  readonly data: Uint8Array;
}

/** The chunks inside the RIFF size, which must lie inside the file. */
function* chunksOf(bytes: Uint8Array): Generator<Chunk> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const riffEnd = 8 + view.getUint32(4, true);
  let at = 12;
  while (at + 8 <= Math.min(riffEnd, bytes.length)) {
    const type = String.fromCharCode(...bytes.subarray(at, at + 4));
    const end = at + 8 + view.getUint32(at + 4, true);
    if (end > riffEnd) throw corrupt(name, `the chunk ${type.trim()} is longer than the file says`);
    // A header chunk may be read although the file is cut off behind it.
    yield { type, data: bytes.subarray(at + 8, Math.min(end, bytes.length)) };
    at = end + (end % 2);
  }
}

interface Size {
  readonly width: number;
  readonly height: number;
}

function lossySize(data: Uint8Array): Size {
  if (data.length < 10) throw truncated(name, "inside its header");
  if (data[3] !== 0x9d || data[4] !== 0x01 || data[5] !== 0x2a) {
    throw corrupt(name, "the start code of the picture is missing");
  }
  const view = new DataView(data.buffer, data.byteOffset, 10);
  return { width: view.getUint16(6, true) & 0x3fff, height: view.getUint16(8, true) & 0x3fff };
}

function losslessSize(data: Uint8Array): Size {
  if (data.length < 5) throw truncated(name, "inside its header");
  if (data[0] !== 0x2f) throw corrupt(name, "the signature of the picture is missing");
  const bits = new DataView(data.buffer, data.byteOffset, 5).getUint32(1, true);
  return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
}

function canvasSize(data: Uint8Array): Size {
  if (data.length < 10) throw truncated(name, "inside its header");
  const uint24 = (at: number) =>
    (data[at] ?? 0) + (data[at + 1] ?? 0) * 256 + (data[at + 2] ?? 0) * 65536;
  return { width: uint24(4) + 1, height: uint24(7) + 1 };
}

const animationFlag = 0x02;

/** Facts of the still picture. Throws image_corrupt, or image_type_unsupported for an animation. */
export function readWebpHeader(bytes: Uint8Array): ImageHeader {
  let canvas: Size | undefined;
  let lossy: Coding = "webp-lossy";
  for (const { type, data } of chunksOf(bytes)) {
    if (type === "VP8X") {
      canvas = canvasSize(data);
      if ((data[0] ?? 0) & animationFlag) {
        throw unsupported("an animated WebP", "Send one frame of it");
      }
    }
    if (type === "ALPH") lossy = "webp-lossy-alpha"; // must stand before the picture
    if (type !== "VP8 " && type !== "VP8L") continue;
    const size = type === "VP8 " ? lossySize(data) : losslessSize(data);
    if (size.width === 0 || size.height === 0) {
      throw corrupt(name, `it is ${size.width} x ${size.height} pixels`);
    }
    if (canvas && (canvas.width !== size.width || canvas.height !== size.height)) {
      throw corrupt(name, "its canvas and its picture differ in size");
    }
    return {
      type: "webp",
      ...size,
      coding: type === "VP8 " ? lossy : "webp-lossless",
      bitDepth: 8,
      samples: 3,
      scans: 1,
      orientation: 1,
    };
  }
  throw truncated(name, "before its picture");
}

/** Compares the RIFF size with the file's; adds what lies behind the pixels. */
export function checkWebpComplete(bytes: Uint8Array, header: ImageHeader): ImageHeader {
  const size = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(4, true);
  if (8 + size > bytes.length) {
    throw truncated(name, `it says ${8 + size} bytes and has ${bytes.length}`);
  }
  let orientation: Orientation = 1;
  for (const { type, data } of chunksOf(bytes)) {
    if (type !== "EXIF") continue;
    const prefixed = data.length > 6 && data[0] === 0x45; // some writers keep JPEG's "Exif\0\0"
    orientation = readOrientation(prefixed ? data.subarray(6) : data);
  }
  return { ...header, orientation };
}
