import { expect, test } from "vitest";
import { hopRecord, hopTimes, nodeTimes, type Hop } from "./hops.ts";
import { readServerTiming, writeServerTiming } from "./server-timing.ts";
import { randomHex, traceOf } from "./trace.ts";

const trace = {
  traceId: "4bf92f3577b34da6a3ce929d0e0e4736",
  spanId: "00f067aa0ba902b7",
  sampled: true,
};

test("a hop is timed whether it succeeds or fails, and tells whom it asks where it stands", async () => {
  let at = 1000;
  const hops = hopRecord(trace, () => (at += 5));
  const seen = await hops.time("node", (hop) => {
    hop.answered(200, "queue;dur=1.5, vision;dur=0, total;dur=12.25");
    return Promise.resolve(hop.traceparent);
  });
  await expect(hops.time("fetch", () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  const [node, fetched] = hops.done;
  expect(node).toMatchObject({
    name: "node",
    startMs: 1005,
    endMs: 1010,
    failed: false,
    status: 200,
  });
  expect(seen).toBe(`00-${trace.traceId}-${node?.spanId}-01`);
  expect(fetched).toMatchObject({ name: "fetch", failed: true });
  expect([...nodeTimes(hops.done)]).toEqual([
    ["queue", 1.5],
    ["vision", 0],
    ["total", 12.25],
  ]);
});

const hop = (name: Hop["name"], startMs: number, endMs: number): Hop => ({
  name,
  startMs,
  endMs,
  spanId: randomHex(16),
  failed: false,
});

test("what overlaps is counted once, and the number of hops has a bound", async () => {
  const times = hopTimes([
    hop("node", 40, 50),
    hop("node", 0, 30),
    hop("node", 10, 20),
    hop("auth", 0, 0),
    hop("node", 25, 35),
  ]);
  expect([...times]).toEqual([
    ["auth", 0],
    ["node", 45],
  ]);
  const many = hopRecord(trace, () => 0);
  for (let at = 0; at < 1000; at++) await many.time("lookup", () => Promise.resolve());
  expect(many.done).toHaveLength(256);
});

test("of a node's Server-Timing only names and milliseconds are taken", () => {
  expect(
    readServerTiming('a;dur=1, b;desc="x";dur=2, c;dur=1e9, evil\r\n;dur=1, d-e_f;dur=0.5, g'),
  ).toEqual({ a: 1, "d-e_f": 0.5 });
  expect(
    readServerTiming(
      Array.from({ length: 50 }, (_, at) => `${"x".repeat(at + 1)};dur=1`).join(","),
    ),
  ).toSatisfy((stages: object) => Object.keys(stages).length === 16);
  expect(readServerTiming(null)).toEqual({});
  expect(
    writeServerTiming([
      ["a", 1.26],
      ["b", 0],
    ]),
  ).toBe("a;dur=1.3, b;dur=0");
});

test("a trace is the caller's, decision included, or a new one of which the ratio is kept", () => {
  const joined = traceOf(`00-${trace.traceId}-${trace.spanId}-00`, 1);
  expect(joined).toMatchObject({
    traceId: trace.traceId,
    parentSpanId: trace.spanId,
    sampled: false,
  });
  expect(joined.spanId).not.toBe(trace.spanId);
  const fresh = traceOf("00-nonsense", 0.5);
  expect(fresh.parentSpanId).toBeUndefined();
  const kept = (ratio: number) =>
    Array.from({ length: 400 }, () => traceOf(undefined, ratio)).filter(({ sampled }) => sampled)
      .length;
  expect([kept(0), kept(1)]).toEqual([0, 400]);
  expect(kept(0.5)).toSatisfy((count: number) => count > 120 && count < 280);
});
