import { ReadableStream as ByteStream, type ReadableByteStreamController } from "node:stream/web";
import { expect, test } from "vitest";
import { readBounded } from "./read-bounded.ts";

/** A stream of chunks; `undefined` is a chunk that never comes. */
function streamOf(chunks: readonly (Uint8Array | undefined)[]) {
  const state = { canceled: false };
  const left = [...chunks];
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (left.length === 0) return controller.close();
      const chunk = left.shift();
      if (chunk === undefined) return new Promise<void>(() => {});
      return controller.enqueue(chunk);
    },
    cancel() {
      state.canceled = true;
    },
  });
  return { stream, state };
}

/** The global's type knows no streams of bytes. */
const byteStream = (
  pull: (controller: ReadableByteStreamController) => void,
): ReadableStream<Uint8Array> => new ByteStream({ type: "bytes", pull });

test("the whole stream, up to the bound itself", async () => {
  const { stream } = streamOf([Uint8Array.of(1, 2), Uint8Array.of(3)]);
  expect(await readBounded(stream, 3)).toEqual({ ok: true, bytes: Uint8Array.of(1, 2, 3) });
  expect(await readBounded(null, 3)).toEqual({ ok: true, bytes: new Uint8Array(0) });
});

test("a known length is read into place; a wrong one does no harm", async () => {
  for (const expectedBytes of [0, 2, 3, 5]) {
    const { stream } = streamOf([Uint8Array.of(1, 2), Uint8Array.of(3)]);
    const read = await readBounded(stream, 3, undefined, { expectedBytes });
    expect(read).toEqual({ ok: true, bytes: Uint8Array.of(1, 2, 3) });
    expect(read.ok && read.bytes.buffer.byteLength).toBe(Math.max(3, expectedBytes));
  }
});

test("a stream of bytes is read in place; what is longer than it was said to be is too large", async () => {
  const streamed = (...chunks: number[][]): ReadableStream<Uint8Array> => {
    const left = chunks.map((chunk) => Uint8Array.from(chunk));
    return byteStream((controller) => {
      const chunk = left.shift();
      if (chunk !== undefined) return controller.enqueue(chunk);
      controller.close();
      return controller.byobRequest?.respond(0);
    });
  };
  for (const expectedBytes of [3, 5]) {
    const read = await readBounded(streamed([1, 2], [3]), 9, undefined, { expectedBytes });
    expect(read).toEqual({ ok: true, bytes: Uint8Array.of(1, 2, 3) });
  }
  const longer = await readBounded(streamed([1, 2], [3]), 9, undefined, { expectedBytes: 2 });
  expect(longer).toEqual({ ok: false, why: "too_large" });
  const stalled = byteStream(() => {});
  const attempt = readBounded(stalled, 9, AbortSignal.timeout(10), { expectedBytes: 2 });
  await expect(attempt).rejects.toThrow("timeout");
});

test("room is asked for as an unknown length grows, and refused ends the stream", async () => {
  const asked: number[] = [];
  const { stream, state } = streamOf([Uint8Array.of(1, 2), Uint8Array.of(3), undefined]);
  const more = (bytes: number) => {
    asked.push(bytes);
    return bytes < 3 ? Promise.resolve() : Promise.reject(new Error("full"));
  };
  await expect(readBounded(stream, 9, undefined, { more })).rejects.toThrow("full");
  expect([asked, state.canceled]).toEqual([[2, 3], true]);
});

test("one byte too many ends the reading and the stream", async () => {
  const { stream, state } = streamOf([Uint8Array.of(1, 2), Uint8Array.of(3, 4), undefined]);
  expect(await readBounded(stream, 3)).toEqual({ ok: false, why: "too_large" });
  expect(state.canceled).toBe(true);
});

test("a stream that stalls ends with the signal, for its reason", async () => {
  const { stream, state } = streamOf([Uint8Array.of(1), undefined]);
  const controller = new AbortController();
  const read = readBounded(stream, 3, controller.signal);
  controller.abort(new Error("time is over"));
  await expect(read).rejects.toThrow("time is over");
  expect(state.canceled).toBe(true);
});
