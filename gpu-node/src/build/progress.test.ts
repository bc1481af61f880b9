import { expect, test } from "vitest";
import { createProgress, formatBytes } from "./progress.ts";

test("a line now and then: percent, bytes, rate", () => {
  const lines: string[] = [];
  let nowMs = 0;
  const now = () => nowMs;
  const progress = createProgress((line) => lines.push(line), "writing", 4e9, { now });
  progress.add(1e9);
  nowMs = 999;
  progress.add(0);
  expect(lines).toEqual([]);
  nowMs = 2000;
  progress.add(1e9);
  nowMs = 2500;
  progress.add(1e9);
  expect(lines).toEqual(["writing: 50% of 4.0 GB, 1.0 GB/s"]);
});

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [1000, "1.0 KB"],
  [15_045_000_000, "15.0 GB"],
])("%i bytes are %s", (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});
