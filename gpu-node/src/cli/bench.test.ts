import { expect, test } from "vitest";
import { bench, parseBenchSettings } from "./bench.ts";

const io = {
  stdout: () => {},
  stderr: () => {},
  signal: new AbortController().signal,
};

test("the defaults are those of the table that a release must show", () => {
  const settings = parseBenchSettings(["--model", "dir"], io);
  expect(settings).toMatchObject({
    artifact: "dir",
    images: [1, 8],
    newTokens: 12,
    decodeBatches: [1, 8, 16],
    concurrency: [1, 2, 4, 8, 16],
    lengths: { shortest: 4, longest: 64 },
    soakMinutes: 0,
    serveFlags: [],
  });
});

test("lists are sorted and each number is measured once", () => {
  const { images } = parseBenchSettings(["--model", "dir", "--images", "8,1,8"], io);
  expect(images).toEqual([1, 8]);
});

test("what follows -- is the node's", () => {
  const args = ["--model", "dir", "--", "--max-queue", "64", "--json"];
  const { serveFlags, json } = parseBenchSettings(args, io);
  expect(serveFlags).toEqual(["--max-queue", "64", "--json"]);
  expect(json).toBe(false);
});

test.each([
  [[], "Give an artifact with --model"],
  [["dir"], '"dir" is no flag'],
  [["--model", "dir", "--images", "1,x"], '--images: "1,x" is no list'],
  [["--model", "dir", "--images", "0"], "--images"],
  [["--model", "dir", "--new-tokens", "1"], '--new-tokens: "1" is no number from 2 to 256'],
  [["--model", "dir", "--repeats", "1.5"], "--repeats"],
  [["--model", "dir", "--soak-minutes", "-1"], "--soak-minutes"],
  [["--model", "dir", "--lengths", "4,8,16"], "--lengths: give two"],
  [["--model", "dir", "--provider", "tpu"], "--provider is one of"],
  [["--model", "dir", "--peer", "x"], "--peer"],
] as const)("%j is wrong usage that says why", async (args, words) => {
  await expect(bench(args, io)).rejects.toMatchObject({
    code: "usage",
    detail: expect.stringContaining(words) as string,
  });
});

test("an artifact that cannot be used is told before anything is measured", async () => {
  const run = bench(["--model", "/nowhere"], io);
  await expect(run).rejects.toMatchObject({ code: "artifact_invalid" });
});
