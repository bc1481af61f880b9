// An artifact of a retrieval checkpoint: what its graphs share, and what is refused.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  float32Tensor,
  type StoredTensor,
  tinyConfig,
  tinyRetrievalConfig,
  tinyTensors,
  writeTinyCheckpoint,
} from "../../../test/support/tiny-checkpoint.ts";
import { verifyArtifact } from "../artifact/verify-artifact.ts";
import { decodeModel } from "../onnx/model-proto.ts";
import { visionKey } from "../runtime/vision-tower.ts";
import { buildArtifact } from "./build-artifact.ts";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "build-retrieval-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

interface Source {
  readonly config?: unknown;
  readonly tensors?: ReadonlyMap<string, StoredTensor>;
}
async function build(name: string, { config = tinyRetrievalConfig, tensors }: Source = {}) {
  const checkpoint = join(root, `${name}-checkpoint`);
  await writeTinyCheckpoint(checkpoint, { config, tensors: tensors ?? tinyTensors(config) });
  const out = join(root, name);
  const { signal } = new AbortController();
  const { manifest } = await buildArtifact({ checkpoint, out, signal, log: () => {} });
  return { out, manifest };
}

/** Where each weight of a graph stands, by name. */
async function placesOf(out: string, graph: string): Promise<Map<string, string>> {
  const model = decodeModel(new Uint8Array(await readFile(join(out, `${graph}.onnx`))));
  return new Map(
    model.graph.initializer
      .filter(({ dataLocation }) => dataLocation === 1)
      .map(({ name, externalData = [] }) => [name, JSON.stringify(externalData)]),
  );
}

test("the manifest says what it is, and every file is as it says", async () => {
  const { out, manifest } = await build("tiny");
  expect((await verifyArtifact(out)).manifest).toEqual(manifest);
  expect(manifest).toMatchObject({
    family: "retrieval",
    graphs: { vision: { file: "vision.onnx" }, itm: { file: "itm.onnx" } },
    qformer: { queries: 3, hidden: 6 },
    text: { vocab: 13, context: 8, dim: 7 },
    tokens: { image: null, pad: 0 },
  });
  expect(manifest).not.toHaveProperty("question_template");
  expect(Object.keys(manifest.source.parts)).toEqual(["vision", "qformer", "text", "itm"]);
});

test("weights that several graphs read stand in one file once", async () => {
  const { out, manifest } = await build("tiny");
  const data = Object.keys(manifest.files).filter((file) => file.endsWith(".data"));
  expect(data).toEqual(["vision.data", "qformer.data"]);
  const [qformer, text, itm] = await Promise.all(
    ["qformer", "text", "itm"].map((graph) => placesOf(out, graph)),
  );
  const all = new Map([...(qformer ?? []), ...(text ?? []), ...(itm ?? [])]);
  for (const places of [qformer, text, itm]) {
    for (const [name, place] of places ?? []) expect(place, name).toBe(all.get(name));
  }
  const shared = "qformer.encoder.layer.0.attention.attention.query.weight.transposed";
  for (const places of [qformer, text, itm]) expect(places?.has(shared)).toBe(true);
  expect(new Set(all.values()).size).toBe(all.size);
});

describe("the digest of the vision tower", () => {
  const changed = (tensors: Map<string, StoredTensor>, name: string) => {
    const { shape = [] } = tensors.get(name) ?? {};
    const count = shape.reduce((product, size) => product * size, 1);
    return tensors.set(name, float32Tensor(shape, new Float32Array(count).fill(0.5)));
  };

  test("is that of a model that writes with the same tensors, and of no other", async () => {
    const comparer = await build("comparer");
    const writer = await build("writer", { config: tinyConfig });
    expect(writer.manifest.source.parts["vision"]).toBe(comparer.manifest.source.parts["vision"]);
    expect(visionKey(writer.manifest)).toBe(visionKey(comparer.manifest));
    expect(writer.manifest.source.parts["qformer"]).not.toBe(
      comparer.manifest.source.parts["qformer"],
    );

    const other = changed(tinyTensors(tinyRetrievalConfig), "vision_model.post_layernorm.bias");
    const trained = await build("trained", { tensors: other });
    expect(trained.manifest.source.parts["vision"]).not.toBe(
      comparer.manifest.source.parts["vision"],
    );
    expect(visionKey(trained.manifest)).not.toBe(visionKey(comparer.manifest));
  });

  test("is not enough where the same tensors are computed with otherwise", async () => {
    const comparer = await build("comparer");
    const vision_config = { ...tinyRetrievalConfig.vision_config, num_attention_heads: 5 };
    const heads = await build("heads", { config: { ...tinyRetrievalConfig, vision_config } });
    expect(heads.manifest.source.parts["vision"]).toBe(comparer.manifest.source.parts["vision"]);
    expect(visionKey(heads.manifest)).not.toBe(visionKey(comparer.manifest));
  });
});

describe("refused, with every tensor named", () => {
  const without = (...names: string[]) => {
    const tensors = tinyTensors(tinyRetrievalConfig);
    for (const name of names) if (!tensors.delete(name)) throw new Error(`there is no ${name}`);
    return tensors;
  };

  test("a checkpoint without its heads or its text side", async () => {
    const tensors = without("itm_head.weight", "itm_head.bias", "text_projection.bias");
    await expect(build("x", { tensors })).rejects.toMatchObject({
      code: "checkpoint_invalid",
      detail: expect.stringMatching(
        /missing tensors \(3\): .*text_projection\.bias.*itm_head\.weight.*itm_head\.bias/,
      ) as string,
    });
    const queriesOnly = without("qformer.encoder.layer.1.output.LayerNorm.weight");
    await expect(build("y", { tensors: queriesOnly })).rejects.toThrow(
      /layer\.1\.output\.LayerNorm\.weight/,
    );
  });

  test("an embedding of another vocabulary", async () => {
    const qformer_config = { ...tinyRetrievalConfig.qformer_config, vocab_size: 14 };
    const config = { ...tinyRetrievalConfig, qformer_config };
    const tensors = tinyTensors(tinyRetrievalConfig);
    await expect(build("x", { config, tensors })).rejects.toThrow(
      /word_embeddings\.weight" is \[13, 6\], config\.json asks for \[14, 6\]/,
    );
  });

  test("a model that writes under a retrieval model's name, and the reverse", async () => {
    const tensors = tinyTensors(tinyConfig);
    await expect(build("x", { tensors })).rejects.toThrow(
      /missing tensors .*itm_head.*unknown tensors .*language_model/,
    );
    const reverse = { config: tinyConfig, tensors: tinyTensors(tinyRetrievalConfig) };
    await expect(build("y", reverse)).rejects.toThrow(
      /missing tensors .*language_projection.*unknown tensors .*itm_head/,
    );
  });
});

test("buffers that old versions saved change nothing", async () => {
  const legacy: StoredTensor = { dtype: "I64", shape: [1], data: new Uint8Array(8) };
  const tensors = new Map([
    ...tinyTensors(tinyRetrievalConfig),
    ["embeddings.position_ids", legacy] as const,
  ]);
  const { manifest } = await build("legacy", { tensors });
  expect(manifest.source).toEqual((await build("plain")).manifest.source);
});
