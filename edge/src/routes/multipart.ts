// multipart/form-data (RFC 7578, RFC 2046 5.1) split without copying: each part is a view of the body, so
// that an uploaded picture lies in memory once. Strict where the RFCs are: what is not well-formed throws.

export interface FormPart {
  readonly name: string;
  /** It has a file name. */
  readonly isFile: boolean;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const usualParts = 16;
const maxHeadBytes = 4096;
const [carriageReturn, lineFeed, dash, space, tab] = [13, 10, 45, 32, 9] as const;

function boundaryOf(contentType: string): Uint8Array {
  const found = /;\s*boundary=(?:"([^"]{1,70})"|([^\s";,]{1,70}))/i.exec(contentType);
  const boundary = found?.[1] ?? found?.[2];
  if (boundary === undefined) throw new Error("no boundary");
  return new TextEncoder().encode(`--${boundary}`);
}

const startsAt = (bytes: Uint8Array, at: number, text: Uint8Array): boolean =>
  text.every((byte, index) => bytes[at + index] === byte);

/** Where the line break before the next boundary is. */
function endOfPart(bytes: Uint8Array, from: number, boundary: Uint8Array): number {
  for (let at = from; ; at++) {
    at = bytes.indexOf(carriageReturn, at);
    if (at < 0) throw new Error("a part without an end");
    if (bytes[at + 1] === lineFeed && startsAt(bytes, at + 2, boundary)) return at;
  }
}

function headOf(bytes: Uint8Array, from: number): { readonly text: string; readonly end: number } {
  for (let at = from; at < from + maxHeadBytes; at++) {
    at = bytes.indexOf(carriageReturn, at);
    if (at < 0) break;
    if (
      bytes[at + 1] === lineFeed &&
      bytes[at + 2] === carriageReturn &&
      bytes[at + 3] === lineFeed
    )
      return { text: new TextDecoder().decode(bytes.subarray(from, at)), end: at + 4 };
  }
  throw new Error("a part without a head");
}

function partOf(head: string, bytes: Uint8Array<ArrayBuffer>): FormPart {
  const lines = head.split("\r\n");
  const encoding = lines.find((line) => /^content-transfer-encoding:/i.test(line));
  if (encoding !== undefined && !/:\s*(?:7bit|8bit|binary)\s*$/i.test(encoding)) {
    throw new Error("a transfer encoding");
  }
  const disposition = lines.find((line) => /^content-disposition:\s*form-data\s*;/i.test(line));
  const name = /;\s*name=(?:"((?:[^"\\]|\\.)*)"|([^\s";]+))/i.exec(disposition ?? "");
  if (disposition === undefined || name === null) throw new Error("a part without a name");
  return {
    name: name[1] ?? name[2] ?? "",
    isFile: /;\s*filename\*?=/i.test(disposition),
    bytes,
  };
}

/** The parts in their order. Throws an Error when the body is not well-formed. */
export function splitMultipart(
  bytes: Uint8Array<ArrayBuffer>,
  contentType: string,
  maxParts = usualParts,
): readonly FormPart[] {
  const boundary = boundaryOf(contentType);
  // What stands before the first boundary is no part.
  let at = startsAt(bytes, 0, boundary) ? 0 : endOfPart(bytes, 0, boundary) + 2;
  const parts: FormPart[] = [];
  for (;;) {
    at += boundary.length;
    if (bytes[at] === dash && bytes[at + 1] === dash) return parts;
    while (bytes[at] === space || bytes[at] === tab) at++;
    if (bytes[at] !== carriageReturn || bytes[at + 1] !== lineFeed) throw new Error("no line end");
    if (parts.length === maxParts) throw new Error(`more than ${maxParts} parts`);
    const { text, end } = headOf(bytes, at + 2);
    const close = endOfPart(bytes, end - 2, boundary);
    parts.push(partOf(text, bytes.subarray(end, Math.max(end, close))));
    at = close + 2;
  }
}
