// The builder's memory does not grow with the checkpoint. The checkpoint is a sparse file of zeros, so that
// this takes a second and no disk; what is built from it is real.
import { open, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  tensorShapes,
  tinyConfig,
  writeTinyCheckpoint,
} from "../../../test/support/tiny-checkpoint.ts";
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

/** A safetensors file of zeros that takes no room on the disk; gives its length. */
async function writeSparse(path: string): Promise<number> {
  const header: Record<string, unknown> = {};
  let end = 0;
  for (const [name, shape] of tensorShapes(config)) {
    const start = end;
    end += shape.reduce((product, size) => product * size, 4);
    header[name] = { dtype: "F32", shape, data_offsets: [start, end] };
  }
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  await using file = await open(path, "w");
  await file.write(Buffer.concat([length, text]));
  await file.truncate(8 + text.length + end);
  return end;
}

test("building 300 MB takes less than 120 MB more than doing nothing", async () => {
  const checkpoint = join(root, "checkpoint");
  await writeTinyCheckpoint(checkpoint, { config });
  const bytes = await writeSparse(join(checkpoint, "model.safetensors"));
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
