// The small arithmetic of what is watched: memory, percentiles, timings, calls at a time.
import { describe, expect, test } from "vitest";
import { bestOf } from "./best-of.ts";
import { freshCaption } from "./load-mix.ts";
import { type Asked, firstTokenMs, parseServerTiming, type Told } from "./node-client.ts";
import { percentile, spreadOf } from "./percentiles.ts";
import { parseMemory, sumMemory } from "./process-memory.ts";
import { runTogether, tokensOf } from "./run-together.ts";
import { growthOf } from "./soak.ts";

const signal = new AbortController().signal;
const told = (stages: Readonly<Record<string, number>> = {}): Told => ({
  tookMs: 1,
  stages,
  tokens: 3,
  visionPasses: 0,
  refusals: 0,
});

test("percentiles are values that were measured", () => {
  const values = Array.from({ length: 100 }, (_, at) => 100 - at);
  expect(spreadOf(values)).toEqual({ p50: 50, p95: 95, p99: 99, max: 100 });
  expect(percentile([7], 0.99)).toBe(7);
  expect(percentile([], 0.5)).toBeNaN();
});

describe("memory", () => {
  test("is read from the kernel's words", () => {
    const status = "Name:\tnode\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
    expect(parseMemory(status)).toEqual({ residentBytes: 1024 ** 2, peakBytes: 2 * 1024 ** 2 });
    expect(parseMemory("")).toBeUndefined();
  });

  test("of a process that is gone is not known, nor is any sum with it", async () => {
    expect(await sumMemory([2 ** 30])).toBeUndefined();
  });

  test("grows from the settled beginning to the end", () => {
    const curve = Array.from({ length: 100 }, (_, at) => ({
      seconds: at,
      residentBytes: at < 20 ? at : 1000 + (at >= 90 ? 30 : 0),
    }));
    expect(growthOf(curve, 20)).toBeCloseTo(0.03, 9);
    expect(growthOf(curve.slice(0, 90), 20)).toBe(0);
    expect(growthOf([], 0)).toBeNull();
  });
});

test("a Server-Timing header is read by its names", () => {
  expect(parseServerTiming("queue;dur=1.5, vision;dur=20,prefill;desc=x;dur=3")).toEqual({
    queue: 1.5,
    vision: 20,
    prefill: 3,
  });
  expect(parseServerTiming("")).toEqual({});
  expect(firstTokenMs(told({ queue: 1, wait: 16, vision: 2, prefill: 4, decode: 8 }))).toBe(23);
});

test("so many calls run at a time, and answers stand in the order of the calls", async () => {
  let running = 0;
  let most = 0;
  const client = {
    async infer({ picture }: Asked): Promise<Told> {
      most = Math.max(most, ++running);
      for (let turn = 0; turn < 5 - picture; turn += 1) await Promise.resolve();
      running -= 1;
      return told({ picture });
    },
  };
  const calls = [0, 1, 2, 3, 4].map((picture) => freshCaption(picture, 1));
  const run = await runTogether(client, calls, 2, signal);
  expect(most).toBe(2);
  expect(run.told.map(({ stages }) => stages["picture"])).toEqual([0, 1, 2, 3, 4]);
  expect(tokensOf(run)).toBe(15);
});

test("the best of the repeats counts, and the warm-up does not", async () => {
  const times = [0, 1, 10, 15, 20, 23]; // two readings a call
  let calls = 0;
  const now = () => times.shift() ?? NaN;
  const best = await bestOf({ repeats: 3, signal, now }, () => Promise.resolve(calls++));
  expect(best).toBe(1);
  expect(calls).toBe(4);
});

test("a cheap call is repeated for longer", async () => {
  let clock = 0;
  let calls = 0;
  const call = () => {
    clock += 2;
    calls += 1;
    return Promise.resolve();
  };
  await bestOf({ repeats: 1, leastMs: 10, signal, now: () => clock }, call);
  expect(calls).toBe(6);
});
