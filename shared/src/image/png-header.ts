// PNG chunks (W3C PNG, third edition): the facts of IHDR, whether the file reaches IEND, and the few
// chunks that pixels depend on. Checksums are left to the decoder.
import { type Orientation, readOrientation } from "./exif.ts";
import { type Coding, corrupt, type ImageHeader, truncated, unsupported } from "./header-facts.ts";

const name = "PNG";
export const pngSignature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);

interface ColourType {
  /** Bit depths that are allowed with it. */
  readonly depths: readonly number[];
  readonly samples: number;
  readonly coding: Coding;
}

const colourTypes: Readonly<Record<number, ColourType>> = {
  0: { depths: [1, 2, 4, 8, 16], samples: 1, coding: "png-grey" },
  2: { depths: [8, 16], samples: 3, coding: "png-rgb" },
  3: { depths: [1, 2, 4, 8], samples: 1, coding: "png-rgb" },
  4: { depths: [8, 16], samples: 2, coding: "png-grey-alpha" },
  6: { depths: [8, 16], samples: 4, coding: "png-rgba" },
};

interface Chunk {
  readonly type: string;
  /** Of the whole chunk: length field to checksum. */
  readonly start: number;
  readonly end: number;
  readonly data: Uint8Array;
}

/** The chunks one after another; ends after IEND, else it throws. */
function* chunksOf(bytes: Uint8Array): Generator<Chunk> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let start = pngSignature.length;
  for (;;) {
    if (start + 12 > bytes.length) throw truncated(name, "no end chunk");
    const length = view.getUint32(start);
    const type = String.fromCharCode(...bytes.subarray(start + 4, start + 8));
    if (!/^[A-Za-z]{4}$/.test(type)) throw corrupt(name, `no chunk at byte ${start}`);
    const end = start + 12 + length;
    if (end > bytes.length) throw truncated(name, `inside the chunk ${type}`);
    yield { type, start, end, data: bytes.subarray(start + 8, end - 4) };
    if (type === "IEND") return;
    start = end;
  }
}

/** The facts of IHDR. Throws image_corrupt or image_type_unsupported. */
export function readPngHeader(bytes: Uint8Array): ImageHeader {
  if (bytes.length < 33) throw truncated(name, "inside its header");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(8) !== 13 || view.getUint32(12) !== 0x49484452) {
    throw corrupt(name, "it does not begin with an IHDR chunk");
  }
  const bitDepth = view.getUint8(24);
  const colourType = colourTypes[view.getUint8(25)];
  if (!colourType?.depths.includes(bitDepth)) {
    throw corrupt(name, `colour type ${view.getUint8(25)} with ${bitDepth} bits does not exist`);
  }
  const width = view.getUint32(16);
  const height = view.getUint32(20);
  if (width === 0 || height === 0) throw corrupt(name, `it is ${width} x ${height} pixels`);
  return {
    type: "png",
    width,
    height,
    coding: colourType.coding,
    bitDepth,
    samples: colourType.samples,
    scans: 1,
    orientation: 1,
  };
}

/** Walks every chunk to IEND and refuses animations by name; adds what lies behind the header. */
export function checkPngComplete(bytes: Uint8Array, header: ImageHeader): ImageHeader {
  let orientation: Orientation = 1;
  let hasData = false;
  for (const { type, data } of chunksOf(bytes)) {
    if (type === "acTL") throw unsupported("an animated PNG (APNG)", "Send one frame of it");
    if (type === "eXIf") orientation = readOrientation(data);
    if (type === "IDAT") hasData = true;
  }
  if (!hasData) throw corrupt(name, "it holds no picture data");
  return { ...header, orientation };
}

/**
 * The parts of the file that the pixels depend on: signature, IHDR, PLTE, IDAT, IEND. Profiles and
 * texts never reach the decoder: a few kilobytes of them inflate to megabytes there, or make it fail;
 * transparency (tRNS) is dropped as the reference drops it.
 */
export function pngPixelParts(bytes: Uint8Array): Uint8Array[] {
  const parts = [bytes.subarray(0, pngSignature.length)];
  for (const { type, start, end } of chunksOf(bytes)) {
    if (/^(IHDR|PLTE|IDAT|IEND)$/.test(type)) parts.push(bytes.subarray(start, end));
  }
  return parts;
}
