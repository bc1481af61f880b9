// What a person sees of a long transfer, with the clock in hand.
import { expect, test } from "vitest";
import { createTransferProgress, formatDuration } from "./transfer-progress.ts";

const setUp = (columns?: number) => {
  const lines: string[] = [];
  const written: string[] = [];
  let nowMs = 0;
  const terminal =
    columns === undefined
      ? undefined
      : { columns: () => columns, write: (text: string) => void written.push(text) };
  const progress = createTransferProgress(
    (line) => void lines.push(line),
    terminal,
    () => nowMs,
  );
  const at = (ms: number, done: number, total = 1e9) => {
    nowMs = ms;
    progress.update(done, total, "model.safetensors");
  };
  return { lines, written, progress, at };
};

test("without a terminal: a line now and then with percent, bytes, rate and time left", () => {
  const { lines, at } = setUp();
  at(0, 0);
  at(1000, 50e6);
  at(5000, 250e6);
  expect(lines).toEqual([
    "0%  0 B of 1.0 GB  model.safetensors",
    "25%  250.0 MB of 1.0 GB, 50.0 MB/s, 0:15 left  model.safetensors",
  ]);
});

test("on a terminal: one bar, redrawn, never wider than the window, cleared for a line", () => {
  const { lines, written, progress, at } = setUp(60);
  at(0, 0);
  at(100, 1e6);
  at(1000, 500e6);
  expect(written).toHaveLength(2);
  expect(written[1]).toMatch(/^\r\[#{12}-{12}\] 50% {2}500\.0 MB of 1\.0 GB/);
  for (const text of written)
    expect(text.replace("\r", "").replace("\x1b[K", "").length).toBeLessThan(60);
  progress.log("Trying again.");
  expect(written.at(-1)).toBe("\r\x1b[K");
  expect(lines).toEqual(["Trying again."]);
});

test("a rate of the last seconds, and none below zero when a file starts over", () => {
  const { lines, at } = setUp();
  at(0, 0);
  at(5000, 500e6);
  at(10_000, 510e6);
  at(15_000, 100e6);
  at(20_000, 110e6);
  expect(lines[2]).toContain(", 2.0 MB/s, 4:05 left");
  expect(lines[3]).toBe("10%  100.0 MB of 1.0 GB  model.safetensors");
  expect(lines[4]).toContain(", 2.0 MB/s,");
});

test("durations", () => {
  expect([0, 65, 3725].map(formatDuration)).toEqual(["0:00", "1:05", "1:02:05"]);
});
