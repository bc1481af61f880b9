// The orientation of a picture from its EXIF block (TIFF structure), and nothing else of it.
// A malformed block means "as stored": EXIF is never a reason to refuse a picture.

/** 1 is "as stored"; 2 to 8 are the mirrored and turned forms of EXIF 2.3, tag 0x0112. */
export type Orientation = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;

const orientationTag = 0x0112;
const shortType = 3;
const maxEntries = 512;

/** `block` starts at the TIFF header ("II*\0" or "MM\0*"). */
export function readOrientation(block: Uint8Array): Orientation {
  if (block.length < 14) return 1;
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
  const order = view.getUint16(0);
  if (order !== 0x4949 && order !== 0x4d4d) return 1;
  const little = order === 0x4949;
  if (view.getUint16(2, little) !== 42) return 1;
  const directory = view.getUint32(4, little);
  if (directory + 2 > block.length) return 1;
  const count = Math.min(view.getUint16(directory, little), maxEntries);
  for (let entry = 0; entry < count; entry++) {
    const at = directory + 2 + entry * 12;
    if (at + 12 > block.length) return 1;
    if (view.getUint16(at, little) !== orientationTag) continue;
    const value = view.getUint16(at + 8, little);
    const valid = view.getUint16(at + 2, little) === shortType && value >= 1 && value <= 8;
    return valid ? (value as Orientation) : 1;
  }
  return 1;
}
