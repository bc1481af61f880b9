// The builder's memory does not grow with the checkpoint. The checkpoint is a sparse file of zeros, so that
// this takes a second and no disk; what is built from it is real.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { writeSparseTensors } from "../../../test/support/sparse-checkpoint.ts";
import { tinyConfig, writeTinyCheckpoint } from "../../../test/support/tiny-checkpoint.ts";
import { buildArtifact } from "./build-artifact.ts";

const megabyte = 1_000_000;
const config = {
  ...tinyConfig,
  text_config: {
    ...tinyConfig.text_config,
    hidden_size: 1024,
    word_embed_proj_dim: 1024,
    ffn_dim: 16384,
    num_hidden_layers: 2,
  },
};

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "memory-"));
});
afterEach(() => rm(root, { recursive: true }));

test("building 300 MB takes less than 120 MB more than doing nothing", async () => {
  const checkpoint = join(root, "checkpoint");
  await writeTinyCheckpoint(checkpoint, { config });
  const bytes = await writeSparseTensors(join(checkpoint, "model.safetensors"), config);
  expect(bytes).toBeGreaterThan(300 * megabyte);

  const before = process.memoryUsage().rss;
  let peak = before;
  const sampler = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage().rss);
  }, 2);
  const { signal } = new AbortController();
  const { manifest } = await buildArtifact({
    checkpoint,
    out: join(root, "big"),
    signal,
    log: () => undefined,
  });
  clearInterval(sampler);
  expect(manifest.files["decoder.data"]?.bytes).toBeGreaterThan(300 * megabyte);
  expect((peak - before) / megabyte).toBeLessThan(120);
});
