// The builder's memory does not grow with the checkpoint. The checkpoint is a sparse file of zeros, so that
// this takes a second and no disk; what is built from it is real.
import { mkdtemp, rm } from "node:fs/promises";
import { execFile } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { writeSparseTensors } from "../../../test/support/sparse-checkpoint.ts";
import { tinyConfig, writeTinyCheckpoint } from "../../../test/support/tiny-checkpoint.ts";
import { builtInRecipe, type Recipe } from "../quantize/recipe.ts";
import { buildArtifact } from "./build-artifact.ts";

const megabyte = 1_000_000;
/** A layer has 151 MB of float32. */
const configOf = (layers: number) => ({
  ...tinyConfig,
  text_config: {
    ...tinyConfig.text_config,
    hidden_size: 1024,
    word_embed_proj_dim: 1024,
    ffn_dim: 16384,
    num_hidden_layers: layers,
  },
});

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "memory-"));
});
afterEach(() => rm(root, { recursive: true }));

/** Builds the sparse checkpoint; gives what it took beyond doing nothing and what it wrote. */
async function buildSparse(recipe: Recipe, layers: number) {
  const config = configOf(layers);
  const checkpoint = join(root, "checkpoint");
  await writeTinyCheckpoint(checkpoint, { config });
  const bytes = await writeSparseTensors(join(checkpoint, "model.safetensors"), config);
  expect(bytes).toBeGreaterThan(150 * layers * megabyte);

  const before = process.memoryUsage().rss;
  let peak = before;
  const sampler = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage().rss);
  }, 2);
  const out = join(root, recipe.name);
  const { signal } = new AbortController();
  const { manifest } = await buildArtifact({
    checkpoint,
    out,
    recipe,
    signal,
    log: () => undefined,
  });
  clearInterval(sampler);
  const dataBytes = manifest.files["decoder.data"]?.bytes ?? NaN;
  return { out, megabytes: (peak - before) / megabyte, dataMegabytes: dataBytes / megabyte };
}

test.each([
  ["fp32", 2, 300, 330],
  ["int4", 1, 20, 22],
] as const)(
  "building %s of %i layers takes less than 120 MB more than doing nothing",
  async (name, layers, least, most) => {
    const { megabytes, dataMegabytes } = await buildSparse(builtInRecipe(name), layers);
    expect(dataMegabytes).toBeGreaterThan(least);
    expect(dataMegabytes).toBeLessThan(most);
    expect(megabytes).toBeLessThan(120);
  },
);

test("half weights that are opened stay half: no float32 copy is made of them", async () => {
  const { out, dataMegabytes } = await buildSparse(builtInRecipe("fp16"), 1);
  expect(dataMegabytes).toBeGreaterThan(75);
  const script = `
    const { openSession } = await import(process.argv[1]);
    const before = process.memoryUsage.rss();
    const options = { threads: 1, provider: "cpu", halfWeights: process.argv[3] === "true" };
    await openSession(process.argv[2], options);
    console.log((process.resourceUsage().maxRSS * 1024 - before) / 1e6);`;
  const run = promisify(execFile);
  const openIn = async (halfWeights: boolean): Promise<number> => {
    const ort = pathToFileURL(join(import.meta.dirname, "../runtime/ort.ts")).href;
    const args = [ort, join(out, "decoder.onnx"), String(halfWeights)];
    const { stdout } = await run(process.execPath, ["--input-type=module", "-e", script, ...args]);
    return Number(stdout);
  };
  expect(await openIn(true)).toBeLessThan(120); // the file is 77 of them, mapped
  expect(await openIn(false)).toBeGreaterThan(200); // what the setting is for
});
