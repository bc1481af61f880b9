import { createHash } from "node:crypto";
import { mkdtemp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  float32Tensor,
  type StoredTensor,
  tinyConfig,
  tinyT5Config,
  tinyTensors,
  writeTinyCheckpoint,
} from "../../../test/support/tiny-checkpoint.ts";
import type { Manifest } from "../artifact/manifest.ts";
import { openArtifact } from "../artifact/open-artifact.ts";
import { verifyArtifact } from "../artifact/verify-artifact.ts";
import { decodeModel } from "../onnx/model-proto.ts";
import { builtInRecipe, parseRecipe } from "../quantize/recipe.ts";
import { buildArtifact, type BuildOptions } from "./build-artifact.ts";
import { describeArtifact } from "./describe-artifact.ts";

let root: string;
let checkpoint: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "build-"));
  checkpoint = join(root, "checkpoint");
});
afterEach(() => rm(root, { recursive: true, force: true }));

const build = (options: Partial<BuildOptions> = {}) =>
  buildArtifact({
    checkpoint,
    out: join(root, "artifact"),
    signal: new AbortController().signal,
    log: () => undefined,
    ...options,
  });

/** A weight of a graph as it stands in the data file. */
async function readWeight(folder: string, graph: string, name: string): Promise<Float32Array> {
  const model = decodeModel(new Uint8Array(await readFile(join(folder, `${graph}.onnx`))));
  const found = model.graph.initializer.find((tensor) => tensor.name === name);
  const place = Object.fromEntries(
    (found?.externalData ?? []).map(({ key, value }) => [key, value]),
  );
  const bytes = new Uint8Array(await readFile(join(folder, place["location"] ?? "")));
  const start = Number(place["offset"]);
  return new Float32Array(bytes.slice(start, start + Number(place["length"])).buffer);
}

const stored = (tensor: StoredTensor | undefined): Float32Array =>
  new Float32Array((tensor?.data ?? new Uint8Array()).slice().buffer);

describe("buildArtifact", () => {
  test("makes a folder whose manifest, files and digests agree, and nothing beside it", async () => {
    await writeTinyCheckpoint(checkpoint);
    const { manifest, built } = await build();
    expect(built).toBe(true);
    const artifact = await verifyArtifact(join(root, "artifact"));
    expect(artifact.manifest).toEqual(manifest);
    expect(manifest).toMatchObject({
      name: "artifact",
      family: "opt",
      image: { size: 8, rescale_factor: 1 / 255 },
      vision: { tokens: 5, hidden: 10 },
      qformer: { queries: 3, hidden: 6 },
      decoder: { layers: 2, heads: 4, head_dim: 3, hidden: 12, vocab: 13, context: 24 },
      tokens: { image: 11, bos: 2, pad: 1, eos: [5] },
      question_template: "Question: {} Answer:",
    });
    expect((await readdir(join(root, "artifact"))).sort()).toEqual(
      [...Object.keys(manifest.files), "manifest.json"].sort(),
    );
    expect((await readdir(root)).sort()).toEqual(["artifact", "checkpoint"]);
  });

  test("linear weights stand transposed, all else as stored, whatever the panel size", async () => {
    await writeTinyCheckpoint(checkpoint);
    const tensors = tinyTensors();
    const digests = new Set<string>();
    for (const panelBytes of [4, 100, 16 * 1024 * 1024]) {
      const out = join(root, `panel-${panelBytes}`);
      const { manifest } = await build({ out, panelBytes, name: "tiny" });
      digests.add(JSON.stringify(manifest));
      await verifyArtifact(out);
      const name = "language_model.model.decoder.layers.1.fc1.weight"; // [20, 12]
      const plain = stored(tensors.get(name));
      const turned = await readWeight(out, "decoder", `${name}.transposed`);
      const expected = Float32Array.from(
        { length: 240 },
        (_, at) => plain[(at % 20) * 12 + Math.floor(at / 20)] ?? NaN,
      );
      expect(turned).toEqual(expected);
      for (const kept of ["query_tokens", "qformer.layernorm.bias"]) {
        expect(await readWeight(out, "qformer", kept)).toEqual(stored(tensors.get(kept)));
      }
    }
    expect(digests.size).toBe(1);
  });

  test("the revision is the formula of the product page", async () => {
    await writeTinyCheckpoint(checkpoint);
    const { manifest } = await build();
    const recipe = '{"name":"fp32","parts":{"decoder":"fp32","qformer":"fp32","vision":"fp32"}}';
    const text = `${manifest.source.digest}\n${manifest.format}\n${recipe}\n`;
    const digest = createHash("sha256").update(text).digest("hex");
    expect(manifest.model_revision).toBe(digest.slice(0, 16));
  });

  describe("with a recipe", () => {
    const recipes = ["fp16", "int8", "int4"] as const;

    test.each(recipes)("%s gives the same bytes whatever the panel size", async (name) => {
      await writeTinyCheckpoint(checkpoint);
      const made = new Set<string>();
      for (const panelBytes of [4, 100, 16 * 1024 * 1024]) {
        const out = join(root, `panel-${panelBytes}`);
        const recipe = builtInRecipe(name);
        const { manifest } = await build({ out, panelBytes, name: "tiny", recipe });
        await verifyArtifact(out);
        made.add(JSON.stringify(manifest));
      }
      expect(made.size).toBe(1);
    });

    test("the source is the same, the revision another, and an artifact is found again", async () => {
      await writeTinyCheckpoint(checkpoint);
      const plain = await build({ out: join(root, "plain") });
      const revisions = new Set([plain.manifest.model_revision]);
      for (const name of recipes) {
        const options = { out: join(root, name), recipe: builtInRecipe(name) };
        const { manifest } = await build(options);
        expect(manifest.source).toEqual(plain.manifest.source);
        expect(manifest.precision.name).toBe(name);
        revisions.add(manifest.model_revision);
        expect((await build(options)).built).toBe(false);
        await expect(build({ ...options, recipe: builtInRecipe("fp32") })).rejects.toThrow(
          /holds another revision/,
        );
      }
      expect(revisions.size).toBe(4);
      const finer = parseRecipe({ name: "int4", others: "int4" }, "finer"); // the Q-Former too
      const { manifest } = await build({ out: join(root, "finer"), recipe: finer });
      expect(revisions).not.toContain(manifest.model_revision);
    });

    test("a tied head and its table are one stretch of the file", async () => {
      await writeTinyCheckpoint(checkpoint);
      const out = join(root, "artifact");
      await build({ recipe: builtInRecipe("int4") });
      const { graph } = decodeModel(new Uint8Array(await readFile(join(out, "decoder.onnx"))));
      const place = (name: string) => graph.initializer.find((tensor) => tensor.name === name);
      const codes = "language_model.model.decoder.embed_tokens.weight.int8.128.codes";
      expect(place(codes)?.dims).toEqual([13n, 1n, 128n]);
      expect(place(`${codes}.rows`)?.dims).toEqual([13n, 128n]);
      expect(place(`${codes}.rows`)?.externalData).toEqual(place(codes)?.externalData);
      const parametersIn = async (folder: string) => {
        const { signal } = new AbortController();
        const { parts } = await describeArtifact(await openArtifact(folder), signal);
        return parts["decoder"]?.parameters;
      };
      await build({ out: join(root, "plain") });
      expect(await parametersIn(out)).toBe(await parametersIn(join(root, "plain")));
    });

    test("a number that no half can hold is refused, and its tensor named", async () => {
      const name = "vision_model.encoder.layers.0.mlp.fc2.weight"; // [10, 14]
      const values = new Float32Array(140).fill(1);
      values[139] = -65520;
      const tensors = new Map([...tinyTensors(), [name, float32Tensor([10, 14], values)]]);
      await writeTinyCheckpoint(checkpoint, { tensors });
      await expect(build({ recipe: builtInRecipe("fp16") })).rejects.toThrow(
        /"vision_model\.encoder\.layers\.0\.mlp\.fc2\.weight" holds numbers beyond 65504/,
      );
      expect(await readdir(root)).toEqual(["checkpoint"]);
      expect((await build({ recipe: builtInRecipe("int4") })).built).toBe(true);
    });

    test("NaN is refused in block codes too", async () => {
      const name = "language_model.model.decoder.embed_tokens.weight"; // [13, 12]
      const values = new Float32Array(156).fill(1);
      values[155] = NaN;
      const tensors = new Map([...tinyTensors(), [name, float32Tensor([13, 12], values)]]);
      await writeTinyCheckpoint(checkpoint, { tensors });
      await expect(build({ recipe: builtInRecipe("int8") })).rejects.toThrow(
        /"language_model\.model\.decoder\.embed_tokens\.weight" holds NaN or infinity/,
      );
    });
  });

  describe("the source digest", () => {
    const digestOf = async (
      write: (folder: string) => Promise<void>,
    ): Promise<Manifest["source"]> => {
      const folder = await mkdtemp(join(root, "source-"));
      await write(folder);
      const out = join(folder, "out");
      return (await build({ checkpoint: folder, out })).manifest.source;
    };
    const reversed = new Map([...tinyTensors()].toReversed());

    test("does not depend on shards, order of the file, metadata or legacy buffers", async () => {
      const shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
      const legacy: StoredTensor = { dtype: "I64", shape: [1], data: new Uint8Array(8) };
      const sources = [
        await digestOf((folder) => writeTinyCheckpoint(folder)),
        await digestOf((folder) => writeTinyCheckpoint(folder, { shards })),
        await digestOf((folder) => writeTinyCheckpoint(folder, { tensors: reversed })),
        await digestOf((folder) =>
          writeTinyCheckpoint(folder, {
            tensors: new Map([...reversed, ["qformer.embeddings.position_ids", legacy]]),
          }),
        ),
        await digestOf((folder) =>
          writeTinyCheckpoint(folder, { config: { ...tinyConfig, transformers_version: "9" } }),
        ),
        await digestOf((folder) => {
          const head = reversed.get("language_model.model.decoder.embed_tokens.weight");
          if (head === undefined) throw new Error("no embedding");
          const tied = new Map([...reversed, ["language_model.lm_head.weight", head] as const]);
          return writeTinyCheckpoint(folder, { tensors: tied });
        }),
      ];
      expect(new Set(sources.map((source) => JSON.stringify(source))).size).toBe(1);
    });

    test("changes with one bit of one tensor, its part's digest too and no other", async () => {
      const tensors = tinyTensors();
      const name = "qformer.layernorm.bias";
      const changed = stored(tensors.get(name)).map((value, at) => (at === 2 ? -value : value));
      const before = await digestOf((folder) => writeTinyCheckpoint(folder));
      const after = await digestOf((folder) =>
        writeTinyCheckpoint(folder, {
          tensors: new Map([...tensors, [name, float32Tensor([6], changed)]]),
        }),
      );
      expect(after.digest).not.toBe(before.digest);
      expect(after.parts["qformer"]).not.toBe(before.parts["qformer"]);
      expect(after.parts["vision"]).toBe(before.parts["vision"]);
      expect(after.parts["decoder"]).toBe(before.parts["decoder"]);
    });

    test("changes with the configuration and the tokenizer", async () => {
      const plain = await digestOf((folder) => writeTinyCheckpoint(folder));
      const text_config = { ...tinyConfig.text_config, eos_token_id: 6 };
      const config = await digestOf((folder) =>
        writeTinyCheckpoint(folder, { config: { ...tinyConfig, text_config } }),
      );
      const tokenizer = await digestOf(async (folder) => {
        await writeTinyCheckpoint(folder);
        await writeFile(join(folder, "tokenizer_config.json"), "{}");
      });
      expect(new Set([plain.digest, config.digest, tokenizer.digest]).size).toBe(3);
      expect(config.parts).toEqual(plain.parts);
    });
  });

  describe("of a T5 checkpoint", () => {
    const config = tinyT5Config;
    const shared = "language_model.shared.weight";
    const alias = (side: string) => `language_model.${side}.embed_tokens.weight`;
    const head = "language_model.lm_head.weight";
    const table = (fill: number) => float32Tensor([13, 12], new Float32Array(156).fill(fill));
    const legacy = "language_model.decoder.block.0.layer.1.EncDecAttention.relative_attention_bias";
    const buildWith = async (change: (tensors: Map<string, StoredTensor>) => void) => {
      const folder = await mkdtemp(join(root, "t5-"));
      const tensors = tinyTensors(config);
      change(tensors);
      await writeTinyCheckpoint(folder, { config, tensors });
      const out = join(folder, "out");
      return { out, manifest: (await build({ checkpoint: folder, out, name: "tiny" })).manifest };
    };

    test("has four parts, and a manifest of its family", async () => {
      const { manifest, out } = await buildWith(() => undefined);
      expect((await verifyArtifact(out)).manifest).toEqual(manifest);
      expect(manifest).toMatchObject({
        family: "t5",
        graphs: { encoder: { file: "encoder.onnx" } },
        decoder: { layers: 2, heads: 3, head_dim: 5, hidden: 12, vocab: 13, context: 24 },
        tokens: { image: 11, bos: 1, pad: 0, eos: [1], start: 0 },
        precision: { parts: { encoder: "fp32" } },
      });
      expect(Object.keys(manifest.source.parts)).toEqual([
        "vision",
        "qformer",
        "encoder",
        "decoder",
      ]);
    });

    test("is the same under every name of its embedding, with a copy as head, with legacy keys", async () => {
      const made = [
        await buildWith(() => undefined),
        await buildWith((tensors) => {
          const embedding = tensors.get(shared);
          if (embedding !== undefined) tensors.set(alias("decoder"), embedding);
          tensors.delete(shared);
        }),
        await buildWith((tensors) => {
          const embedding = tensors.get(shared);
          for (const name of [alias("encoder"), alias("decoder"), head]) {
            if (embedding !== undefined) tensors.set(name, embedding);
          }
          tensors.set(`${legacy}.weight`, float32Tensor([8, 3], new Float32Array(24)));
        }),
      ];
      expect(new Set(made.map(({ manifest }) => JSON.stringify(manifest))).size).toBe(1);
    });

    test("has a head of its own when the file has another one", async () => {
      const { out, manifest } = await buildWith((tensors) => tensors.set(head, table(0.5)));
      expect(await readWeight(out, "decoder", head)).toEqual(new Float32Array(156).fill(0.5));
      const tied = await buildWith(() => undefined);
      expect(manifest.model_revision).not.toBe(tied.manifest.model_revision);
    });

    test("is refused when two embeddings differ, or tensors are missing", async () => {
      await expect(buildWith((tensors) => tensors.set(alias("encoder"), table(1)))).rejects.toThrow(
        /"language_model\.shared\.weight" and "language_model\.encoder\.embed_tokens\.weight" differ/,
      );
      await expect(buildWith((tensors) => tensors.delete(shared))).rejects.toThrow(
        /missing tensors \(1\): "language_model\.shared\.weight"/,
      );
      const bias = "language_model.encoder.block.0.layer.0.SelfAttention.relative_attention_bias";
      await expect(
        buildWith((tensors) => {
          tensors.delete(`${bias}.weight`);
          tensors.set("language_model.encoder.block.0.layer.1.DenseReluDense.wi.weight", table(1));
        }),
      ).rejects.toThrow(/missing tensors \(1\): .*relative_attention_bias.*unknown tensors \(1\)/);
    });
  });

  describe("when the folder exists", () => {
    test("the same revision is left as it is, and said so", async () => {
      await writeTinyCheckpoint(checkpoint);
      const first = await build();
      const lines: string[] = [];
      const second = await build({ log: (line) => lines.push(line) });
      expect(second).toEqual({ manifest: first.manifest, built: false });
      expect(lines.join()).toContain("comparing it with the checkpoint");
    });

    test("another revision, a foreign folder, a file: refused and untouched", async () => {
      await writeTinyCheckpoint(checkpoint);
      await build();
      await writeFile(join(checkpoint, "tokenizer_config.json"), "{}");
      await expect(build()).rejects.toThrow(/holds another revision, [0-9a-f]{16} \(artifact\)/);
      await expect(build({ out: checkpoint })).rejects.toThrow(/exists and is not an artifact/);
      const file = join(checkpoint, "config.json");
      await expect(build({ out: file, name: "x" })).rejects.toThrow(/is a file/);
      await openArtifact(join(root, "artifact"));
    });

    test("an empty one is used", async () => {
      await writeTinyCheckpoint(checkpoint);
      await mkdir(join(root, "artifact"));
      expect((await build()).built).toBe(true);
    });
  });

  describe("leaves nothing behind", () => {
    const expectNothing = async () => expect(await readdir(root)).toEqual(["checkpoint"]);

    test("when it is aborted at any point", async () => {
      await writeTinyCheckpoint(checkpoint);
      for (const afterPanels of [1, 20, 60]) {
        const controller = new AbortController();
        let panels = 0;
        const signal = new Proxy(controller.signal, {
          get(target, key) {
            if (key === "throwIfAborted" && (panels += 1) > afterPanels) controller.abort();
            const value: unknown = Reflect.get(target, key);
            return typeof value === "function" ? value.bind(target) : value;
          },
        });
        await expect(build({ signal, panelBytes: 64 })).rejects.toMatchObject({
          name: "AbortError",
        });
        await expectNothing();
      }
    });

    test("when a tensor holds NaN or infinity, which it names", async () => {
      const name = "vision_model.encoder.layers.0.mlp.fc2.weight"; // [10, 14]
      for (const bad of [NaN, -Infinity]) {
        const values = new Float32Array(140).fill(1);
        values[77] = bad;
        const tensors = new Map([...tinyTensors(), [name, float32Tensor([10, 14], values)]]);
        await writeTinyCheckpoint(checkpoint, { tensors });
        await expect(build()).rejects.toThrow(
          /"vision_model\.encoder\.layers\.0\.mlp\.fc2\.weight" holds NaN or infinity/,
        );
        await expectNothing();
      }
    });

    test("when the tensors do not fit, all of which it names", async () => {
      const tensors = tinyTensors();
      tensors.delete("query_tokens");
      tensors.delete("qformer.layernorm.bias");
      tensors.set("qformer.layernorm.weight", float32Tensor([3, 2], new Float32Array(6)));
      tensors.set("itm_head.weight", float32Tensor([2], new Float32Array(2)));
      tensors.set("language_projection.bias", {
        dtype: "I32",
        shape: [12],
        data: new Uint8Array(48),
      });
      await writeTinyCheckpoint(checkpoint, { tensors });
      const error: unknown = await build().catch((caught: unknown) => caught);
      const detail = (error as { detail: string }).detail;
      expect(detail).toContain('missing tensors (2): "query_tokens", "qformer.layernorm.bias"');
      expect(detail).toContain('"qformer.layernorm.weight" is [3, 2], config.json asks for [6]');
      expect(detail).toContain('not F32, F16 or BF16 (1): "language_projection.bias" is I32');
      expect(detail).toContain('unknown tensors (1): "itm_head.weight"');
      await expectNothing();
    });
  });

  test("a name that no request could carry is refused", async () => {
    await writeTinyCheckpoint(checkpoint);
    await expect(build({ name: "My Model" })).rejects.toThrow(/"My Model" is not a model name/);
  });

  test("a folder without config.json or tokenizer says which", async () => {
    await expect(build()).rejects.toThrow(/is not a folder/);
    await mkdir(checkpoint);
    await expect(build()).rejects.toThrow(/has no config\.json/);
    await writeTinyCheckpoint(checkpoint);
    await rm(join(checkpoint, "tokenizer.json"));
    await expect(build()).rejects.toThrow(/has no tokenizer\.json/);
  });

  test("the image token comes from the tokenizer when config.json has none", async () => {
    const { image_token_index: _, ...config } = tinyConfig;
    await writeTinyCheckpoint(checkpoint, { config });
    expect((await build()).manifest.tokens.image).toBe(11);
  });
});
