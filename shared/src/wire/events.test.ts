import {
  array,
  assert,
  asyncProperty,
  constantFrom,
  integer,
  nat,
  oneof,
  record,
  string,
  type Arbitrary,
} from "fast-check";
import { describe, expect, test } from "vitest";
import { AppError, toProblem } from "../problem.ts";
import { heartbeat, type InferEvent, readEvents, writeEvent } from "./events.ts";
import golden from "./golden/stream-1.json" with { type: "json" };
import {
  embedRequestSchema,
  inferRequestSchema,
  inferResponseSchema,
  matchRequestSchema,
} from "./protocol.ts";

const result = inferResponseSchema.parse(golden.result);
const textEvent: Arbitrary<InferEvent> = record({
  index: nat(15),
  // Every code unit, lone surrogates and line ends too.
  text: string({ unit: "binary" }),
}).map((data) => ({ event: "text", data }));
const lastEvent: Arbitrary<InferEvent> = oneof(
  string({ unit: "binary" }).map((text): InferEvent => {
    const [first] = result.results;
    if (first === undefined) throw new Error("the golden has no result");
    return { event: "result", data: { ...result, results: [{ ...first, text }] } };
  }),
  constantFrom("overloaded" as const, "internal" as const).map((code): InferEvent => ({
    event: "problem",
    error: new AppError(code, "wait", { retryAfterS: 3 }),
  })),
);

/** The bytes in pieces of the sizes given, over and over. */
function inPieces(bytes: Uint8Array, sizes: readonly number[]): ReadableStream<Uint8Array> {
  let at = 0;
  let turn = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      const size = sizes[turn % sizes.length] ?? bytes.length;
      turn += 1;
      controller.enqueue(bytes.slice(at, at + size));
      at += size;
    },
  });
}
const encode = (text: string) => new TextEncoder().encode(text);
async function read(text: string | Uint8Array, sizes: readonly number[] = [7]) {
  const bytes = typeof text === "string" ? encode(text) : text;
  const events: InferEvent[] = [];
  for await (const event of readEvents(inPieces(bytes, sizes))) events.push(event);
  return events;
}
/** What can be compared of an event: an error by the document that travels. */
const shown = (events: readonly InferEvent[]) =>
  events.map((each) =>
    each.event === "problem" ? { event: each.event, problem: toProblem(each.error) } : each,
  );

test("what is written is read, wherever the pieces end, with every kind of line end and heartbeats", async () => {
  const sizes = array(integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 });
  const lineEnd = constantFrom("\n", "\r\n", "\r");
  await assert(
    asyncProperty(
      array(textEvent, { maxLength: 6 }),
      lastEvent,
      sizes,
      lineEnd,
      async (texts, last, cuts, end) => {
        const events = [...texts, last];
        const stream = events.map((event) => heartbeat + writeEvent(event)).join("");
        // JSON escapes raw line feeds, so the only ones are the format's own.
        const read_ = await read(stream.replaceAll("\n", end), cuts);
        expect(shown(read_)).toEqual(shown(events));
      },
    ),
  );
});

describe("version 1 still reads", () => {
  test.each([
    ["a stream", inferRequestSchema, golden.infer_request],
    ["a match", matchRequestSchema, golden.match_request],
    ["an embedding", embedRequestSchema, golden.embed_request],
  ] as const)("the request for %s with its priority", (_, schema, message) => {
    expect(schema.parse(message)).toEqual(message);
    expect(schema.safeParse({ ...message, priority: "soon" }).success).toBe(false);
  });
  test("the stream, and writes the same bytes", async () => {
    const events = await read(golden.stream);
    expect(shown(events)).toEqual(golden.events);
    expect(events.map(writeEvent).join("")).toBe(golden.stream.replaceAll(heartbeat, ""));
  });
  test("a stream that ends in a problem", async () => {
    const events = await read(golden.failed_stream);
    expect(shown(events)).toEqual(golden.failed_events);
    expect(events.map(writeEvent).join("")).toBe(golden.failed_stream);
  });
});

describe("a reader", () => {
  const last = writeEvent({ event: "result", data: result });

  test("passes over events and fields that are younger than itself", async () => {
    const younger = `event: mood\ndata: {}\n\nid: 3\nretry: 5\nodd\n\n${last}`;
    expect((await read(younger)).map(({ event }) => event)).toEqual(["result"]);
  });
  test("joins data of several lines, with or without a space after the colon", async () => {
    const text = 'event:text\ndata:{"index":0,\ndata: "text":"a"}\n\n';
    expect(await read(text + last)).toMatchObject([{ data: { text: "a" } }, {}]);
  });
  test("stops at the last event and lets go of the stream", async () => {
    let canceled = false;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(encode(last + last)),
      cancel: () => void (canceled = true),
    });
    const events = [];
    for await (const event of readEvents(body)) events.push(event);
    expect(events).toHaveLength(1);
    expect(canceled).toBe(true);
    expect(body.locked).toBe(false);
  });
  test.each([
    ["ends without a result", writeEvent({ event: "text", data: { index: 0, text: "a" } })],
    ["ends within its result", last.slice(0, -1)],
    ["has data that is no JSON", "event: text\ndata: {\n\n"],
    ["has a text without its index", 'event: text\ndata: {"text":"a"}\n\n'],
    ["has a result of another form", "event: result\ndata: {}\n\n"],
    ["has a problem that is none", 'event: problem\ndata: {"code":"x"}\n\n'],
    ["is not UTF-8", Uint8Array.of(0x64, 0xff, 0x0a)],
    ["has an event without end", `data: ${"a".repeat(5 * 1024 * 1024)}`],
  ])("does not understand what %s", async (_, stream) => {
    await expect(read(stream, [1 << 16])).rejects.toMatchObject({ code: "node_protocol" });
  });
});
