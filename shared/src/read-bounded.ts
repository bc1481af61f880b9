// Reads a byte stream to its end within a bound of bytes and of time. The bound holds while streaming:
// a length header is never trusted, and a slow drip ends when the signal does.

export type BoundedRead =
  | { readonly ok: true; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly ok: false; readonly why: "too_large" };

export interface Room {
  /** How long the stream is, if that is known: it is then read into place instead of being put together. */
  readonly expectedBytes?: number | undefined;
  /** Asked before more than a stream of unknown length has had so far is kept: the bytes so far. */
  readonly more?: ((bytes: number) => Promise<void>) | undefined;
}

/** Rejects with the signal's reason when it is aborted first; the stream is canceled either way. */
export async function readBounded(
  stream: ReadableStream<Uint8Array> | null,
  maxBytes: number,
  signal: AbortSignal = new AbortController().signal,
  { expectedBytes, more }: Room = {},
): Promise<BoundedRead> {
  if (stream === null) return { ok: true, bytes: new Uint8Array(0) };
  signal.throwIfAborted();
  const inPlace = expectedBytes === undefined ? undefined : byteReader(stream);
  if (inPlace !== undefined && expectedBytes !== undefined) {
    return readInPlace(inPlace, expectedBytes, signal);
  }
  const reader = stream.getReader();
  let stop = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    const onAbort = (): void => {
      reject(signal.reason as Error);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    stop = () => signal.removeEventListener("abort", onAbort);
  });
  const place = expectedBytes === undefined ? undefined : new Uint8Array(expectedBytes);
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await Promise.race([reader.read(), aborted]);
      if (done) break;
      size += value.byteLength;
      if (size > maxBytes) {
        void reader.cancel().catch(() => {});
        return { ok: false, why: "too_large" };
      }
      if (place !== undefined && chunks.length === 0 && size <= place.length) {
        place.set(value, size - value.byteLength);
        continue;
      }
      // Longer than it was said to be: what stands in its place is the first chunk.
      if (place !== undefined && chunks.length === 0) {
        chunks.push(place.subarray(0, size - value.byteLength));
      }
      chunks.push(value);
      await more?.(size);
    }
  } catch (error) {
    void reader.cancel(error).catch(() => {});
    throw error;
  } finally {
    stop();
  }
  if (place !== undefined && chunks.length === 0) {
    return { ok: true, bytes: place.subarray(0, size) };
  }
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return { ok: true, bytes };
}

/** As far as this needs one (Streams standard, ReadableStreamBYOBReader). */
interface ByteReader {
  read(
    view: Uint8Array<ArrayBuffer>,
    options: { readonly min: number },
  ): Promise<{ readonly done: boolean; readonly value?: Uint8Array<ArrayBuffer> | undefined }>;
  cancel(reason?: unknown): Promise<void>;
}

/** Undefined where the stream is not one of bytes. */
function byteReader(stream: ReadableStream<Uint8Array>): ByteReader | undefined {
  try {
    return stream.getReader({ mode: "byob" });
  } catch {
    return undefined;
  }
}

/**
 * Lets the engine fill the buffer: one step for a whole file, where a thousand small ones would cost more
 * than its digest. What is longer than it was said to be is too large.
 */
async function readInPlace(
  reader: ByteReader,
  expectedBytes: number,
  signal: AbortSignal,
): Promise<BoundedRead> {
  const stop = new AbortController();
  const aborted = new Promise<never>((_, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener("abort", onAbort, { once: true, signal: stop.signal });
  });
  // One byte more than expected shows whether there is more.
  let buffer = new ArrayBuffer(expectedBytes + 1);
  let size = 0;
  try {
    while (size <= expectedBytes) {
      const view = new Uint8Array(buffer, size);
      const read = reader.read(view, { min: view.length });
      const { done, value } = await Promise.race([read, aborted]);
      if (value !== undefined) {
        buffer = value.buffer;
        size += value.byteLength;
      }
      if (done) return { ok: true, bytes: new Uint8Array(buffer, 0, size) };
    }
    void reader.cancel().catch(() => {});
    return { ok: false, why: "too_large" };
  } catch (error) {
    void reader.cancel(error).catch(() => {});
    throw error;
  } finally {
    stop.abort();
  }
}
