import { expect, test } from "vitest";
import { callTimes, sayMs } from "./timings.ts";

const header =
  "auth;dur=1, decode;dur=12, node;dur=60, node-queue;dur=1, node-decode;dur=50, node-total;dur=58, total;dur=80";

test("of a plain answer: the node's time is told, the way is what the Worker does not account for", () => {
  const times = callTimes({
    serverTiming: header,
    headMs: 95,
    endMs: 100,
    isStream: false,
    isLive: true,
  });
  expect(times.parts).toEqual([
    { part: "way", name: "network", ms: 20 },
    { part: "worker", name: "Worker", ms: 20 },
    { part: "node", name: "node", ms: 60 },
  ]);
  expect(times.stages.map(({ name, part }) => `${part} ${name}`)).toEqual([
    ...["worker auth", "worker decode", "node queue", "node decode"],
  ]);
});

test("of a stream: from the last hop before its head to its end it is the node's", () => {
  const serverTiming = "auth;dur=1, decode;dur=12, begin;dur=40";
  const times = callTimes({ serverTiming, headMs: 50, endMs: 200, isStream: true, isLive: true });
  expect(times.parts.map(({ part, ms }) => [part, ms])).toEqual([
    ["way", 10],
    ["worker", 13],
    ["node", 177],
  ]);
  const hit = callTimes({ serverTiming, headMs: 50, endMs: 51, isStream: true, isLive: false });
  expect(hit.parts.map(({ part }) => part)).toEqual(["way", "worker"]);
});

test.each(["", "nonsense", "total;dur=9999", "node;dur=9999, total;dur=5"])(
  "parts sum up to the whole whatever the header says: %j",
  (serverTiming) => {
    for (const isStream of [true, false]) {
      const { parts } = callTimes({ serverTiming, headMs: 8, endMs: 10, isStream, isLive: true });
      expect(parts.reduce((total, { ms }) => total + ms, 0)).toBeCloseTo(10);
      expect(parts.every(({ ms }) => ms > 0)).toBe(true);
    }
  },
);

test("milliseconds as a person reads them", () => {
  expect([0.04, 3.1234, 84.4, 9999, 12_345].map(sayMs)).toEqual([
    "0 ms",
    "3.1 ms",
    "84 ms",
    "9999 ms",
    "12.3 s",
  ]);
});
