// `blip2 pull` in this process against a stand-in hub: what goes to which stream.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type FakeHub, startFakeHub } from "../../../test/support/fake-hub.ts";
import { build } from "./build.ts";
import { pull } from "./pull.ts";

const commit = "89abcdef0123456789abcdef0123456789abcdef";
const small = (text: string) => ({ content: Buffer.from(text), large: false });
let cacheFolder: string;
let hub: FakeHub;
beforeAll(async () => {
  cacheFolder = await mkdtemp(join(tmpdir(), "blip2-pull-"));
  const files = {
    "config.json": small('{"model_type":"clip"}'),
    "processor_config.json": small("{}"),
    "tokenizer.json": small("{}"),
    "model.safetensors": { content: Buffer.alloc(1000, 7), large: true },
  };
  hub = await startFakeHub({ repo: "org/tiny", commit, files });
});
afterAll(async () => {
  await hub.close();
  await rm(cacheFolder, { recursive: true });
});

function io() {
  const out: string[] = [];
  const err: string[] = [];
  return {
    out,
    err,
    stdout: (line: string) => void out.push(line),
    stderr: (line: string) => void err.push(line),
    signal: new AbortController().signal,
    env: { HF_ENDPOINT: hub.url, HF_HUB_CACHE: cacheFolder, HF_TOKEN: "hf_secret" },
  };
}
const snapshot = () => join(cacheFolder, "models--org--tiny", "snapshots", commit);

test("the folder on standard output, the progress on standard error", async () => {
  const run = io();
  expect(await pull(["org/tiny"], run)).toBe(0);
  expect(run.out).toEqual([snapshot()]);
  expect(run.err.join("\n")).toMatch(/100% {2}1\.0 KB of 1\.0 KB.*model\.safetensors/);
  expect(run.err.at(-1)).toBe(`org/tiny@main is ${commit}: 4 files, 1.0 KB`);
});

test("--json is the documented object", async () => {
  const run = io();
  expect(await pull(["org/tiny", "--json"], run)).toBe(0);
  expect(run.out.map((line) => JSON.parse(line) as unknown)).toEqual([
    { repo: "org/tiny", revision: "main", commit, path: snapshot(), files: 4, bytes: 1025 },
  ]);
});

test("build takes the name: the cached snapshot is what it reads", async () => {
  await pull(["org/tiny"], io());
  const args = ["--out", join(cacheFolder, "artifact")];
  // A checkpoint of another architecture: the refusal shows that this one was read.
  await expect(build(["org/tiny", ...args], io())).rejects.toThrow(/clip/);
  await expect(build(["org/other", ...args], io())).rejects.toThrow("blip2 pull org/other");
});

test.each([[[]], [["a/b", "c/d"]], [["../etc"]], [["a/b", "--out", "x"]]])(
  "%j is wrong usage",
  async (args) => {
    await expect(pull(args, io())).rejects.toMatchObject({ code: "usage" });
  },
);
