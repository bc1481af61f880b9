import { expect, test } from "vitest";
import { benchReport } from "../../../test/support/bench-report.ts";
import { claimsOf } from "./claims.ts";
import type { BenchReport, PeerRow } from "./report.ts";

const find = (report: BenchReport, words: string) => {
  const claim = claimsOf(report).find(({ what }) => what.startsWith(words));
  if (claim === undefined) throw new Error(`no claim about ${words}`);
  return claim;
};
const peer = (dtype: string, images: number, captionSeconds: number): PeerRow => ({
  dtype,
  images,
  newTokens: 12,
  visionSeconds: 1,
  captionSeconds,
});

test("what was measured is held against its bound", () => {
  expect(find(benchReport, "vision, 1 at a time")).toMatchObject({ measured: 0.8, holds: true });
  expect(find(benchReport, "decode, 8 at a time")).toMatchObject({ measured: 0.5, holds: false });
  expect(find(benchReport, "decoding 16 captions")).toMatchObject({ measured: 2, holds: true });
  expect(find(benchReport, "16 captions at once")).toMatchObject({ holds: true });
  expect(find(benchReport, "wait of a short")).toMatchObject({ measured: 1900, holds: true });
  // 1.25 times 2 GB and 600 MB.
  expect(find(benchReport, "RSS of door")).toMatchObject({ bound: { atMost: 3.1e9 }, holds: true });
});

test("what was not measured holds neither way", () => {
  for (const words of ["one caption against", "eight images", "growth of RSS"]) {
    expect(find(benchReport, words)).toMatchObject({ measured: null, holds: null });
  }
  const elsewhere = { ...benchReport, node: { readySeconds: 5, peakBytes: null } };
  expect(find(elsewhere, "RSS of door")).toMatchObject({ measured: null, holds: null });
  const { together } = benchReport.load;
  const load = { ...benchReport.load, together: { ...together, decodeRatio: NaN } };
  expect(find({ ...benchReport, load }, "decoding 16")).toMatchObject({ measured: null });
});

test("the better of the peer's types counts", () => {
  const rows = [peer("float32", 1, 14), peer("bfloat16", 1, 10), peer("float32", 8, 40)];
  const report = { ...benchReport, peer: rows };
  expect(find(report, "one caption against")).toMatchObject({ measured: 2.5, holds: true });
  expect(find(report, "eight images")).toMatchObject({ measured: 2, holds: true });
});

test("three times is needed where stages at 70 % of their limits would give it", () => {
  const within = { ...benchReport, peer: [peer("float32", 1, 11.9)] };
  expect(find(within, "one caption")).toMatchObject({ bound: { atLeast: 2 }, holds: true });
  // 2.8 s allowed, so 4 s at 70 %: 12 s are three times that.
  const beyond = { ...benchReport, peer: [peer("float32", 1, 12.1)] };
  expect(find(beyond, "one caption")).toMatchObject({ bound: { atLeast: 3 }, holds: true });
});

test("at fp32 the peer is held to float32 and decoding together must gain more", () => {
  const artifact = { ...benchReport.artifact, precision: "fp32" };
  const rows = [peer("float32", 1, 3.9), peer("bfloat16", 1, 2)];
  const report = { ...benchReport, artifact, peer: rows };
  expect(find(report, "one caption")).toMatchObject({
    measured: 0.975,
    bound: { atLeast: 0.95 },
    holds: true,
  });
  expect(find(report, "decoding 16")).toMatchObject({ bound: { atLeast: 3 }, holds: false });
});
