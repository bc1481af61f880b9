// The builder's memory does not grow with the checkpoint. The checkpoint is a sparse file of zeros, so that
// this takes a second and no disk; what is built from it is real.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
