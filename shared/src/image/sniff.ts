// Names what a file looks like by its first bytes, so that a refusal can say what was received.
// It decides nothing about pictures that are supported; their readers do.

/** `kind`: a picture of another type, or no picture at all. `name` comes with its article. */
export interface Sniffed {
  readonly kind: "picture" | "other";
  readonly name: string;
}

const picture = (name: string): Sniffed => ({ kind: "picture", name });
const other = (name: string): Sniffed => ({ kind: "other", name });

/** Four-character brands of ISO base media files (`ftyp`). */
const brands: readonly (readonly [RegExp, Sniffed])[] = [
  [/^avi[fs]/, picture("an AVIF image")],
  [/^(hei[cxms]|hev[cxms])/, picture("a HEIC image")],
  [/^(mif1|msf1)/, picture("a HEIF image")],
  [/^qt/, other("a QuickTime video")],
  [/./, other("an MP4 video")],
];

/** Beginnings as Latin-1 text. */
const beginnings: readonly (readonly [RegExp, Sniffed])[] = [
  [/^BM.{4}\0{4}/s, picture("a BMP image")],
  [/^(II\*\0|MM\0\*|II\+\0|MM\0\+)/, picture("a TIFF image")],
  [/^(\xff\x0a|\0\0\0\x0cJXL )/, picture("a JPEG XL image")],
  [/^(\0\0\0\x0cjP {2}|\xff\x4f\xff\x51)/, picture("a JPEG 2000 image")],
  [/^\0\0[\x01\x02]\0.\0/s, picture("an icon (ICO)")],
  [/^8BPS/, picture("a Photoshop document (PSD)")],
  [/^%PDF-/, other("a PDF document")],
  [/^PK\x03\x04/, other("a ZIP archive or an office document")],
  [/^\x1f\x8b/, other("a gzip archive")],
  [/^\x1aE\xdf\xa3/, other("a WebM or Matroska video")],
];

const sniffedChars = 1024;

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes.subarray(0, sniffedChars));
}

/** Whether a GIF holds a second frame; false too when it is cut off before one. */
function isAnimatedGif(bytes: Uint8Array): boolean {
  const colourTable = (flags: number) => (flags & 0x80 ? 3 * 2 ** ((flags & 7) + 1) : 0);
  let at = 13 + colourTable(bytes[10] ?? 0);
  let frames = 0;
  while (at < bytes.length) {
    const block = bytes[at];
    if (block === 0x2c) {
      if (++frames === 2) return true;
      at += 11 + colourTable(bytes[at + 9] ?? 0);
    } else if (block === 0x21) at += 2;
    else return false;
    while ((bytes[at] ?? 0) > 0) at += 1 + (bytes[at] ?? 0);
    at++;
  }
  return false;
}

function gifName(bytes: Uint8Array): string {
  const size =
    bytes.length < 10
      ? ""
      : ` of ${(bytes[6] ?? 0) + (bytes[7] ?? 0) * 256} x ${(bytes[8] ?? 0) + (bytes[9] ?? 0) * 256} pixels`;
  return `${isAnimatedGif(bytes) ? "an animated GIF" : "a GIF"}${size}`;
}

function textName(text: string): string {
  const start = text
    .replace(/^\uFEFF/, "")
    .trimStart()
    .toLowerCase();
  if (start.includes("<svg")) return "an SVG drawing";
  if (/^<(!doctype html|html|head|body|script)/.test(start)) return "an HTML page";
  if (start.startsWith("<?xml")) return "an XML document";
  if (/<(html|body|head|title)[\s>]/.test(start)) return "an HTML page";
  if (/^[{[]/.test(start)) return "JSON";
  if (start.startsWith("data:image/")) return "a data URL as text";
  return "text";
}

function asText(bytes: Uint8Array): string | undefined {
  try {
    // `stream` forgives a character that the cut at the end splits.
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });
    const text = decoder.decode(bytes.subarray(0, sniffedChars), { stream: true });
    // oxlint-disable-next-line no-control-regex -- control characters are what tells binary from text
    return /[\x00-\x08\x0e-\x1a]/.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

/** What the bytes look like; "data of an unknown kind" when nothing fits. */
export function sniff(bytes: Uint8Array): Sniffed {
  const start = latin1(bytes);
  if (/^GIF8[79]a/.test(start)) return picture(gifName(bytes));
  if (start.slice(4, 8) === "ftyp") {
    // The major brand of many HEIC files is generic; the compatible ones tell.
    const length = Math.min(bytes[3] ?? 0, 128);
    const listed = [start.slice(8, 12), ...(start.slice(16, length).match(/.{4}/gs) ?? [])];
    for (const [pattern, sniffed] of brands) {
      if (listed.some((brand) => pattern.test(brand))) return sniffed;
    }
  }
  for (const [pattern, sniffed] of beginnings) if (pattern.test(start)) return sniffed;
  const text = asText(bytes);
  return other(text === undefined ? "data of an unknown kind" : textName(text));
}
