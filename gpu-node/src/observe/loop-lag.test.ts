import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createLoopLag, type DelayHistogram } from "./loop-lag.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const periodMs = 20;

/** Takes delays as Node's does: with the timer's period, and not the first one after a reset. */
class FakeHistogram implements DelayHistogram {
  delays: number[] = [];
  missesNext = true;
  enabled = false;
  get count() {
    return this.delays.length;
  }
  get max() {
    return Math.max(0, ...this.delays);
  }
  percentile(percentile: number) {
    const sorted = this.delays.toSorted((a, b) => a - b);
    return sorted[Math.ceil((sorted.length * percentile) / 100) - 1] ?? 0;
  }
  enable() {
    this.enabled = true;
  }
  disable() {
    this.enabled = false;
  }
  reset() {
    this.delays = [];
    this.missesNext = true;
  }
  tick(lateMs: number) {
    if (!this.missesNext) this.delays.push((periodMs + lateMs) * 1e6);
    this.missesNext = false;
  }
}

function meter() {
  const histograms: FakeHistogram[] = [];
  const lag = createLoopLag({
    intervalMs: 1000,
    open() {
      const histogram = new FakeHistogram();
      histograms.push(histogram);
      return histogram;
    },
  });
  const tick = (lateMs: number, times = 1) => {
    for (let time = 0; time < times; time += 1) {
      for (const histogram of histograms) histogram.tick(lateMs);
    }
  };
  return { lag, tick, histograms };
}

test("says how late timers are, without their period", () => {
  const { lag, tick } = meter();
  expect(lag.read()).toEqual({ p50Ms: 0, p99Ms: 0, maxMs: 0 });
  tick(0, 99);
  tick(2, 100);
  tick(80);
  expect(lag.read()).toEqual({ p50Ms: 2, p99Ms: 2, maxMs: 80 });
});

test("a timer that comes early is not late by less than nothing", () => {
  const { lag, tick } = meter();
  tick(-3, 5);
  expect(lag.read()).toEqual({ p50Ms: 0, p99Ms: 0, maxMs: 0 });
});

test("forgets a blocked loop after one interval, at the latest after two", () => {
  const { lag, tick } = meter();
  tick(0, 3);
  tick(500);
  vi.advanceTimersByTime(1000);
  tick(1, 3);
  expect(lag.read().maxMs).toBe(500);
  vi.advanceTimersByTime(1000);
  tick(1, 3);
  expect(lag.read().maxMs).toBe(1);
});

test("sees a delay that spans the change of intervals, which one histogram loses", () => {
  const { lag, tick } = meter();
  tick(0, 3);
  vi.advanceTimersByTime(1000);
  tick(700);
  expect(lag.read().maxMs).toBe(700);
  vi.advanceTimersByTime(1000);
  tick(0, 3);
  expect(lag.read().maxMs).toBe(0);
});

test("stop ends the measurement", () => {
  const { lag, histograms } = meter();
  expect(histograms.map(({ enabled }) => enabled)).toEqual([true, true]);
  lag.stop();
  expect(histograms.map(({ enabled }) => enabled)).toEqual([false, false]);
  expect(vi.getTimerCount()).toBe(0);
});

test("Node's own histogram is read", () => {
  vi.useRealTimers();
  const lag = createLoopLag();
  expect(lag.read()).toEqual({ p50Ms: 0, p99Ms: 0, maxMs: 0 });
  lag.stop();
});
