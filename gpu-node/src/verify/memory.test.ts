// What verifying takes does not grow with the model: blocks come and go one at a time. The checkpoint is a
// sparse file of zeros; what is read, written and run is real.
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { writeSparseTensors } from "../../../test/support/sparse-checkpoint.ts";
import { tinyConfig, writeTinyCheckpoint } from "../../../test/support/tiny-checkpoint.ts";
import { buildArtifact } from "../build/build-artifact.ts";
import { verifyParity } from "./verify-parity.ts";

const megabyte = 1_000_000;
const layers = 10;
const config = {
  ...tinyConfig,
  text_config: {
    ...tinyConfig.text_config,
    hidden_size: 1024,
    word_embed_proj_dim: 1024,
    ffn_dim: 2048,
    num_hidden_layers: layers,
  },
};

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "memory-"));
});
afterEach(() => rm(root, { recursive: true }));

// Three panels of 16 MB and a block of 34 MB twice, as it is mapped and as the runtime packs it: 120 MB.
test("verifying 330 MB takes less than 200 MB more than doing nothing", async () => {
  const checkpoint = join(root, "checkpoint");
  await writeTinyCheckpoint(checkpoint, { config });
  const bytes = await writeSparseTensors(join(checkpoint, "model.safetensors"), config);
  expect(bytes).toBeGreaterThan(330 * megabyte);
  const { signal } = new AbortController();
  const log = () => undefined;
  const artifact = join(root, "big");
  await buildArtifact({ checkpoint, out: artifact, signal, log });

  const before = process.memoryUsage().rss;
  let peak = before;
  const sampler = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage().rss);
  }, 2);
  const temporaryRoot = join(root, "temporary");
  const parity = await verifyParity({
    artifact,
    checkpoint,
    blocks: "all",
    wholeMaxBytes: 0,
    temporaryRoot,
    signal,
    log,
    onBlock() {
      peak = Math.max(peak, process.memoryUsage().rss);
    },
  });
  clearInterval(sampler);
  expect(parity.passed).toBe(true);
  expect(await readdir(temporaryRoot)).toEqual([]);
  expect((peak - before) / megabyte).toBeLessThan(200);
}, 120_000);
