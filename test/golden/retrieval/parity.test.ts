// The retrieval family against transformers 5.18: tiny random checkpoints, built by our builder, run by our
// runtime, compared with what Blip2ForImageTextRetrieval and the two models with a projection computed from the
// same files. make.py wrote the goldens.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildArtifact } from "../../../gpu-node/src/build/build-artifact.ts";
import { createImageReader } from "../../../gpu-node/src/cli/read-image.ts";
import { loadRetrievalModel } from "../../../gpu-node/src/runtime/load-model.ts";
import type { RetrievalModel } from "../../../gpu-node/src/runtime/retrieval-model.ts";
import type { Seen } from "../../../gpu-node/src/runtime/sight.ts";
import { relativeError } from "../parity.ts";
import { type GoldenTensor, readGolden } from "../safetensors.ts";

/** golden.json as make.py writes it. */
interface Golden {
  readonly runs: readonly {
    readonly text: string;
    readonly ids: readonly number[];
    readonly itm: number;
    readonly itc: number;
  }[];
  readonly texts: readonly { readonly text: string; readonly ids: readonly number[] }[];
}
const distance = (a: number | undefined, b: number): number => Math.abs((a ?? NaN) - b);

describe.each(["published", "sharded", "placeholder"])("the %s checkpoint", (name) => {
  let root: string;
  let model: RetrievalModel;
  let pixels: Uint8Array;
  let seen: Seen;
  let golden: Golden;
  let tensors: ReadonlyMap<string, GoldenTensor>;
  const tensor = (key: string): GoldenTensor => {
    const found = tensors.get(key);
    if (found === undefined) throw new Error(`the golden has no ${key}`);
    return found;
  };
  const texts = () => golden.runs.map(({ text }) => text);

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "parity-"));
    const folder = join(import.meta.dirname, name);
    const out = join(root, name);
    const { signal } = new AbortController();
    await buildArtifact({ checkpoint: join(folder, "checkpoint"), out, signal, log: () => {} });
    model = await loadRetrievalModel(out, { threads: 1 });
    const picture = join(import.meta.dirname, "..", "picture.png");
    ({ pixels } = await createImageReader()(picture, model.manifest.image.size));
    seen = await model.lookAt(pixels);
    golden = JSON.parse(await readFile(join(folder, "golden.json"), "utf8")) as Golden;
    tensors = await readGolden(join(folder, "golden.safetensors"));
  });
  afterAll(async () => {
    await model.close();
    await rm(root, { recursive: true, force: true });
  });

  test("every traced tensor is within 1e-4 of the reference's scale, for every text", async () => {
    for (const [at, { text }] of golden.runs.entries()) {
      const trace = await model.trace(pixels, text);
      for (const key of ["image_embeds", "query_output", "projected"]) {
        expect(trace[key]?.dims, key).toEqual(tensor(key).shape);
        expect(
          relativeError(trace[key]?.data ?? new Float32Array(), tensor(key)),
          key,
        ).toBeLessThan(1e-4);
      }
      for (const key of ["text_output", "text_projected", "itm_logits"]) {
        const want = tensor(`${key}.${at}`);
        expect(trace[key]?.dims, `${key} of ${text}`).toEqual(want.shape);
        expect(
          relativeError(trace[key]?.data ?? new Float32Array(), want),
          `${key} of ${text}`,
        ).toBeLessThan(1e-4);
      }
    }
  });

  test("ITM is within 1e-4 and ITC within 1e-5, for one text at a time", async () => {
    for (const { text, itm, itc } of golden.runs) {
      const [match] = await model.match(seen, [text], ["itm", "itc"]);
      expect(distance(match?.itm, itm), `itm of ${text}`).toBeLessThan(1e-4);
      expect(distance(match?.itc, itc), `itc of ${text}`).toBeLessThan(1e-5);
    }
    // The comparison can fail: the reference's own scores differ by more from text to text.
    const spread = (scores: number[]) => Math.max(...scores) - Math.min(...scores);
    expect(spread(golden.runs.map(({ itm }) => itm))).toBeGreaterThan(1e-2);
    expect(spread(golden.runs.map(({ itc }) => itc))).toBeGreaterThan(1e-3);
  });

  test("texts of unequal length in one batch give what each gives alone, in their order", async () => {
    const together = await model.match(seen, texts(), ["itm", "itc"]);
    const embedded = await model.embedTexts(texts());
    for (const [at, { text, itm, itc }] of golden.runs.entries()) {
      expect(distance(together[at]?.itm, itm), text).toBeLessThan(1e-4);
      expect(distance(together[at]?.itc, itc), text).toBeLessThan(1e-5);
      const [alone] = await model.embedTexts([text]);
      const { textOutput, projected } = embedded[at] ?? {};
      expect(textOutput?.dims).toEqual(alone?.textOutput.dims);
      for (const [made, own] of [
        [textOutput, alone?.textOutput],
        [projected, alone?.projected],
      ]) {
        const want = { shape: own?.dims ?? [], data: own?.data ?? new Float32Array() };
        expect(relativeError(made?.data ?? new Float32Array(), want), text).toBeLessThan(1e-5);
      }
    }
  });

  test("the vectors are those of the models with a projection, each of length 1", async () => {
    expect(relativeError(seen.projected.data, tensor("vision_with_projection"))).toBeLessThan(1e-5);
    const embedded = await model.embedTexts(texts());
    for (const [at, { projected }] of embedded.entries()) {
      const want = tensor(`text_with_projection.${at}`);
      expect(relativeError(projected.data, want), `text ${at}`).toBeLessThan(1e-5);
      expect(Math.hypot(...projected.data)).toBeCloseTo(1, 5);
    }
  });

  test("two pictures in one batch give what each gives alone", async () => {
    const one = model.pixelValues(pixels);
    const other = model.pixelValues(pixels.map((byte) => 255 - byte));
    const data = new Float32Array([...one.data, ...other.data]);
    const both = await model.features(
      await model.vision({ ...one, dims: [2, ...one.dims.slice(1)], data }),
    );
    const half = both.projected.data.length / 2;
    for (const [at, input] of [one, other].entries()) {
      const alone = (await model.features(await model.vision(input))).projected;
      const part = both.projected.data.subarray(at * half, (at + 1) * half);
      expect(relativeError(part, { shape: alone.dims, data: alone.data })).toBeLessThan(1e-5);
    }
  });

  test("texts have the reference's ids", () => {
    for (const { text, ids } of golden.runs) expect(model.textIds(text), text).toEqual(ids);
    expect(golden.texts.length).toBeGreaterThan(15);
    for (const { text, ids } of golden.texts) {
      expect(model.tokenizer.encode(text), JSON.stringify(text)).toEqual(ids);
    }
  });
});
