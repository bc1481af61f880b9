// Proof that the proof can fail: one weight changed in one block of an artifact, whose digest is put right
// again, is found by that block's name; pairs that do not belong together are refused.
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, open, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  tinyConfig,
  tinyRetrievalConfig,
  tinyT5Config,
  tinyTensors,
  writeTinyCheckpoint,
} from "../../../test/support/tiny-checkpoint.ts";
import type { Manifest } from "../artifact/manifest.ts";
import { openArtifact } from "../artifact/open-artifact.ts";
import { buildArtifact } from "../build/build-artifact.ts";
import { decodeModel } from "../onnx/model-proto.ts";
import { builtInRecipe, type PrecisionName } from "../quantize/recipe.ts";
import type { BlockRecord, Parity } from "./parity-file.ts";
import { verifyParity, type VerifyParityOptions } from "./verify-parity.ts";

const golden = join(import.meta.dirname, "../../../test/golden");
const { signal } = new AbortController();
const log = () => undefined;

let root: string;
let artifact: string;
let temporaryRoot: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "verify-"));
  artifact = join(root, "artifact");
  temporaryRoot = join(root, "temporary");
  await mkdir(temporaryRoot);
});
afterEach(() => rm(root, { recursive: true, force: true }));

const build = (checkpoint: string, precision: PrecisionName = "fp32") =>
  buildArtifact({ checkpoint, out: artifact, recipe: builtInRecipe(precision), signal, log });

/** Verifies; nothing may be left behind, whatever comes out. */
async function verify(checkpoint: string, options: Partial<VerifyParityOptions> = {}) {
  const records: BlockRecord[] = [];
  try {
    const parity = await verifyParity({
      artifact,
      checkpoint,
      blocks: "all",
      wholeMaxBytes: 0,
      temporaryRoot,
      signal,
      log,
      onBlock: (record) => void records.push(record),
      ...options,
    });
    return { parity, records };
  } finally {
    expect(await readdir(temporaryRoot)).toEqual([]);
    const drafts = (await readdir(artifact)).filter((name) => name.includes("partial"));
    expect(drafts).toEqual([]);
  }
}

const readParity = async (): Promise<Parity> =>
  JSON.parse(await readFile(join(artifact, "parity.json"), "utf8")) as Parity;

/** Changes one number of a stored weight and the digest of its file, as a faulty builder would. */
async function corrupt(part: string, weight: string, value: number): Promise<void> {
  const manifestPath = join(artifact, "manifest.json");
  const manifest = JSON.parse(await readFile(manifestPath, "utf8")) as Manifest;
  const { graph } = decodeModel(await readFile(join(artifact, `${part}.onnx`)));
  const stored = graph.initializer.find(({ name }) => name === weight)?.externalData ?? [];
  const { location = "", offset } = Object.fromEntries(
    stored.map((entry) => [entry.key, entry.value]),
  );
  const path = join(artifact, location);
  await using file = await open(path, "r+");
  await file.write(new Uint8Array(Float32Array.of(value).buffer), 0, 4, Number(offset));
  const sha256 = createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
  Object.assign(manifest.files[location] ?? {}, { sha256 });
  await writeFile(manifestPath, JSON.stringify(manifest));
}

const qkv = (layer: number): string =>
  `vision_model.encoder.layers.${layer}.self_attn.qkv.weight.transposed`;
const opt = "language_model.model.decoder";

describe.each(["opt/published", "t5/published"])("the %s checkpoint", (name) => {
  const checkpoint = join(golden, name, "checkpoint");

  test("every block of its artifact is the checkpoint's, and so is the whole", async () => {
    await build(checkpoint);
    const { parity, records } = await verify(checkpoint, { wholeMaxBytes: 10_000_000 });
    expect(parity).toMatchObject({ passed: true, short: [], blocks: records });
    expect(await readParity()).toEqual(parity);
    for (const record of records) {
      expect(record).toMatchObject({ precision: "fp32", passed: true });
      expect(record.cosine).toBeGreaterThan(0.999999);
    }
    expect(parity.whole).toMatchObject({ greedy: { identical_ids: 1, generations: 8 } });
    const names = records.map(({ part, block }) => `${part} ${block}`);
    const language = name.startsWith("opt")
      ? ["decoder embed", "decoder layers.2", "decoder final_layer_norm + embed_tokens"]
      : [
          "encoder block.1",
          "encoder final_layer_norm",
          "encoder cross.1",
          "decoder block.1",
          "decoder final_layer_norm + lm_head",
        ];
    expect(names).toEqual(
      expect.arrayContaining([
        "vision embeddings",
        "vision layers.1",
        "vision post_layernorm",
        "qformer query_tokens + layernorm",
        "qformer layer.2",
        "qformer language_projection",
        ...language,
      ]),
    );
    expect(new Set(names).size).toBe(names.length);
    // A report beside the manifest is no part of the artifact.
    await openArtifact(artifact);
  });
});

describe("one wrong weight", () => {
  test.each([
    ["opt/published", "vision", qkv(1), "vision layers.1"],
    ["opt/published", "vision", "vision_model.post_layernorm.bias", "vision post_layernorm"],
    ["opt/published", "qformer", "language_projection.bias", "qformer language_projection"],
    ["opt/published", "decoder", `${opt}.layers.1.fc1.bias`, "decoder layers.1"],
    [
      "t5/published",
      "encoder",
      "language_model.decoder.block.1.layer.1.EncDecAttention.v.weight.transposed",
      "encoder cross.1",
    ],
    [
      "t5/published",
      "encoder",
      "language_model.encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
      "encoder embed",
    ],
    [
      "t5/published",
      "decoder",
      "language_model.decoder.block.0.layer.0.SelfAttention.q.weight.transposed",
      "decoder block.0",
    ],
  ])("of %s, %s: %s", async (name, part, weight, block) => {
    const checkpoint = join(golden, name, "checkpoint");
    await build(checkpoint);
    await corrupt(part, weight, 3);
    const { parity } = await verify(checkpoint);
    expect(parity).toMatchObject({ passed: false, short: [block] });
    expect((await readParity()).short).toEqual([block]);
  });

  test("that is not a number makes its block fall short and no other", async () => {
    const checkpoint = join(golden, "opt/published/checkpoint");
    await build(checkpoint);
    await corrupt("vision", qkv(0), Number.NaN);
    const { parity } = await verify(checkpoint);
    expect(parity.short).toEqual(["vision layers.0"]);
    expect(parity.blocks.find(({ passed }) => !passed)?.cosine).toBe(0);
  });

  test("shows in the whole too", async () => {
    const checkpoint = join(golden, "opt/published/checkpoint");
    await build(checkpoint);
    await corrupt("qformer", "language_projection.bias", 1000);
    const { parity } = await verify(checkpoint, { wholeMaxBytes: 10_000_000 });
    expect(parity.whole).toMatchObject({
      cosine: {
        image_embeds: expect.closeTo(1) as number,
        projected: expect.any(Number) as number,
      },
    });
    if ("skipped" in parity.whole) throw new Error("the whole was skipped");
    expect(parity.whole.cosine.projected).toBeLessThan(0.9);
  });
});

describe("a recipe", () => {
  const nano = join(import.meta.dirname, "../../nano/checkpoint");

  // Lowest cosines found when the floors were set; the embedding and the head of int4 are int8.
  test.each([
    ["fp16", ["fp16", "fp32"], 0.9999999],
    ["int8", ["fp32", "int8"], 0.99995],
    ["int4", ["fp32", "int4", "int8"], 0.997],
  ] as const)(
    "of %s: nano's blocks are called what they are and reach their floors",
    async (precision, found, lowest) => {
      await build(nano, precision);
      const { parity, records } = await verify(nano);
      expect(parity.short).toEqual([]);
      expect([...new Set(records.map((record) => record.precision))].sort()).toEqual(found);
      expect(Math.min(...records.map(({ cosine }) => cosine))).toBeGreaterThan(lowest);
      const layer = records.find(({ block }) => block === "layers.3");
      expect(layer).toMatchObject({ precision, update_cosine: expect.any(Number) as number });
    },
  );

  test("one wrong scale is found like a wrong weight", async () => {
    const checkpoint = join(golden, "opt/published/checkpoint");
    await build(checkpoint, "int8");
    await corrupt("vision", "vision_model.encoder.layers.1.mlp.fc1.weight.int8.128.scales", 1);
    expect((await verify(checkpoint)).parity.short).toEqual(["vision layers.1"]);
  });
});

describe("a retrieval checkpoint", () => {
  let checkpoint: string;
  beforeEach(async () => {
    checkpoint = join(root, "checkpoint");
    await writeTinyCheckpoint(checkpoint, { config: tinyRetrievalConfig });
    await build(checkpoint);
  });

  test("is compared in every mode of its Q-Former, and as a whole by its scores", async () => {
    const { parity, records } = await verify(checkpoint, { wholeMaxBytes: 10_000_000 });
    expect(parity).toMatchObject({ passed: true, short: [] });
    expect(records.map(({ part, block }) => `${part} ${block}`)).toEqual([
      "vision embeddings",
      "vision layers.0",
      "vision post_layernorm",
      "qformer query_tokens + layernorm",
      "qformer layer.0",
      "qformer layer.1",
      "qformer vision_projection",
      "text embed",
      "text layer.0",
      "text layer.1",
      "text text_projection",
      "itm embed",
      "itm layer.0",
      "itm layer.1",
      "itm itm_head",
    ]);
    expect(parity.whole).toMatchObject({
      itm: { max_difference: 0 },
      cosine: {
        text_projected: expect.closeTo(1) as number,
        itm_logits: expect.closeTo(1) as number,
      },
    });
    expect(parity.whole).not.toHaveProperty("greedy");
  });

  test("a weight that two modes share is found in both", async () => {
    await corrupt("text", "qformer.encoder.layer.1.intermediate.dense.weight.transposed", 3);
    const { parity } = await verify(checkpoint);
    expect(parity.short).toEqual(["text layer.1"]); // the last layer of ITM reads queries alone
    await corrupt("itm", "qformer.encoder.layer.0.intermediate.dense.weight.transposed", 3);
    const { parity: both } = await verify(checkpoint);
    expect(both.short).toEqual(["text layer.0", "text layer.1", "itm layer.0"]);
  });
});

describe("a sample", () => {
  const config = {
    ...tinyConfig,
    vision_config: { ...tinyConfig.vision_config, num_hidden_layers: 7 },
  };

  test("is the first, the middle and the last of what repeats, and all that stands alone", async () => {
    const checkpoint = join(root, "checkpoint");
    await writeTinyCheckpoint(checkpoint, { config });
    await build(checkpoint);
    const { records, parity } = await verify(checkpoint, { blocks: 3, fresh: true });
    const vision = records.filter(({ part }) => part === "vision");
    expect(vision.map(({ block }) => block)).toEqual([
      "embeddings",
      "layers.0",
      "layers.3",
      "layers.6",
      "post_layernorm",
    ]);
    expect(parity).toMatchObject({ passed: true, measured: { blocks: 3 } });
    expect(parity.whole).toEqual({ skipped: "not asked for" });
  });

  test("passes over a block that is wrong, with the same input for those behind it", async () => {
    const checkpoint = join(root, "checkpoint");
    await writeTinyCheckpoint(checkpoint, { config });
    await build(checkpoint);
    await corrupt("vision", qkv(1), 3);
    expect((await verify(checkpoint, { blocks: 3 })).parity.short).toEqual([]);
    expect((await verify(checkpoint, { blocks: 7 })).parity.short).toEqual(["vision layers.1"]);
  });
});

describe("is refused", () => {
  let checkpoint: string;
  beforeEach(async () => {
    checkpoint = join(root, "checkpoint");
    await writeTinyCheckpoint(checkpoint);
    await build(checkpoint);
  });
  const refusal = async (other: string, code: string, detail: RegExp) => {
    await expect(verify(other)).rejects.toMatchObject({
      code,
      detail: expect.stringMatching(detail) as string,
    });
    expect(await readdir(artifact)).not.toContain("parity.json");
  };

  test("a checkpoint with another weight, naming the parts that differ", async () => {
    const tensors = tinyTensors();
    const name = "qformer.encoder.layer.0.attention.attention.query.weight";
    tensors.get(name)?.data.fill(1, 0, 2);
    await writeTinyCheckpoint(join(root, "other"), { tensors });
    await refusal(
      join(root, "other"),
      "usage",
      /not built from this checkpoint: the tensors of qformer differ, those of the other parts are/,
    );
  });

  test("a checkpoint with another tokenizer alone", async () => {
    await writeTinyCheckpoint(join(root, "other"));
    await writeFile(join(root, "other/tokenizer_config.json"), "{}");
    await refusal(
      join(root, "other"),
      "usage",
      /tensors are the same, the configuration or the tok/,
    );
  });

  test("a checkpoint of another architecture, naming what differs", async () => {
    await writeTinyCheckpoint(join(root, "t5"), { config: tinyT5Config });
    await refusal(join(root, "t5"), "usage", /another architecture.*family is "opt" and not "t5"/);
    const deeper = {
      ...tinyConfig,
      text_config: { ...tinyConfig.text_config, num_hidden_layers: 3 },
    };
    await writeTinyCheckpoint(join(root, "deeper"), { config: deeper });
    await refusal(join(root, "deeper"), "usage", /decoder\.layers is 2 and not 3/);
  });

  test("a damaged artifact", async () => {
    const path = join(artifact, "vision.data");
    const data = await readFile(path);
    data[0] = (data[0] ?? 0) ^ 1;
    await writeFile(path, data);
    await refusal(checkpoint, "artifact_invalid", /vision\.data is not what was built/);
    await truncate(path, 10);
    await refusal(checkpoint, "artifact_invalid", /vision\.data is 10 bytes/);
  });

  test("when it is interrupted: nothing is left", async () => {
    const interrupt = new AbortController();
    const reason = new Error("enough");
    const onBlock = () => interrupt.abort(reason);
    await expect(verify(checkpoint, { signal: interrupt.signal, onBlock })).rejects.toBe(reason);
    expect(await readdir(artifact)).not.toContain("parity.json");
  });
});

test("a report replaces the one before it", async () => {
  const checkpoint = join(root, "checkpoint");
  await writeTinyCheckpoint(checkpoint);
  await build(checkpoint);
  await verify(checkpoint, { blocks: 1 });
  expect((await readParity()).measured.blocks).toBe(1);
  const { parity } = await verify(checkpoint, { wholeMaxBytes: 1 });
  expect(await readParity()).toEqual(parity);
  expect(parity.whole).toMatchObject({ skipped: expect.stringMatching(/the bound is 1 B/) });
});
