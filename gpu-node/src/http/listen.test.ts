// What a socket does with the door's answers: streams that flow, clients that leave, ends in order.
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { readEvents } from "@blip2-edge/shared/wire/events";
import { AppError } from "@blip2-edge/shared/problem";
import { afterEach, expect, test, vi } from "vitest";
import { createEventStream, type EventStream, eventStreamHeaders } from "./event-stream.ts";
import { listen, type Listener } from "./listen.ts";

let listener: Listener;
afterEach(() => listener.close(AbortSignal.abort()));

/** A door that answers everything with a new stream. */
async function streaming(): Promise<{
  streams: EventStream[];
  onGone: ReturnType<typeof vi.fn>;
  port: number;
}> {
  const streams: EventStream[] = [];
  const onGone = vi.fn();
  listener = await listen({
    host: "127.0.0.1",
    port: 0,
    fetch() {
      const stream = createEventStream({ onGone });
      streams.push(stream);
      return new Response(stream.body, { headers: eventStreamHeaders });
    },
  });
  return { streams, onGone, port: Number(new URL(listener.url).port) };
}
const last = { event: "problem", error: new AppError("overloaded", "") } as const;
async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > end) throw new Error("it did not come about in time");
    await sleep(5);
  }
}

test("an event is with the client before the next is written", async () => {
  const { streams } = await streaming();
  const response = await fetch(listener.url);
  const heard: string[] = [];
  for (const text of ["a", "b"]) streams[0]?.text(0, text);
  for await (const event of readEvents(response.body ?? new ReadableStream())) {
    if (event.event !== "text") break;
    heard.push(event.data.text);
    if (heard.join("") === "ab") streams[0]?.text(0, "c");
    else if (heard.join("") === "abc") void streams[0]?.end(last);
  }
  expect(heard.join("")).toBe("abc");
});

test("a client that leaves in the middle is told of", async () => {
  const { streams, onGone } = await streaming();
  const leaver = new AbortController();
  const response = await fetch(listener.url, { signal: leaver.signal });
  streams[0]?.text(0, "a");
  await response.body?.getReader().read();
  leaver.abort();
  await until(() => onGone.mock.calls.length > 0);
  expect(onGone.mock.calls[0]?.[0]).toMatchObject({ code: "canceled" });
});

test("a client that does not read is not written to without end", async () => {
  const { streams, port } = await streaming();
  const socket = connect(port, "127.0.0.1").pause();
  socket.write("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
  await until(() => streams.length === 1);
  const piece = "x".repeat(64 * 1024);
  let ended = false;
  for (let at = 0; at < 400; at += 1) {
    streams[0]?.text(0, piece);
    if (at % 50 === 0) await sleep(5);
  }
  void streams[0]?.end(last).then(() => (ended = true));
  await sleep(100);
  // 25 MB are more than the buffers of a socket hold: the stream waits for its reader.
  expect(ended).toBe(false);
  let received = 0;
  socket.on("data", (chunk: Buffer) => (received += chunk.length)).resume();
  await until(() => ended);
  await until(() => received > 400 * piece.length);
  socket.destroy();
});

test("close waits for a stream to end, takes nobody new, and ends what is left at its signal", async () => {
  const { streams } = await streaming();
  const response = await fetch(listener.url);
  let closed = false;
  const closing = listener.close(AbortSignal.timeout(20_000)).then(() => (closed = true));
  await expect(fetch(listener.url)).rejects.toThrow();
  expect(closed).toBe(false);
  void streams[0]?.end(last);
  expect(await response.text()).toContain("overloaded");
  await closing;

  const again = await streaming();
  const cut = await fetch(listener.url);
  await listener.close(AbortSignal.timeout(20));
  await expect(cut.text()).rejects.toThrow();
  expect(again.streams).toHaveLength(1);
});
