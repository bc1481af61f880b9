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

test("the whole stream, up to the bound itself", async () => {
  const { stream } = streamOf([Uint8Array.of(1, 2), Uint8Array.of(3)]);
  expect(await readBounded(stream, 3)).toEqual({ ok: true, bytes: Uint8Array.of(1, 2, 3) });
  expect(await readBounded(null, 3)).toEqual({ ok: true, bytes: new Uint8Array(0) });
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
