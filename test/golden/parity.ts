// The same numbers as the reference, for every family: tiny random checkpoints, built by our builder, run by
// our runtime, compared with what transformers 5.18 computed from the same files. The families' make.py
// wrote the goldens.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type GenerationRequest, resolveGeneration } from "@blip2-edge/shared/contracts/generation";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildArtifact } from "../../gpu-node/src/build/build-artifact.ts";
import { createImageReader } from "../../gpu-node/src/cli/read-image.ts";
import { builtInRecipe, type Recipe } from "../../gpu-node/src/quantize/recipe.ts";
import type { GenerationModel } from "../../gpu-node/src/runtime/generation-model.ts";
import { loadGenerationModel } from "../../gpu-node/src/runtime/load-model.ts";
import { type GoldenTensor, readGolden } from "./safetensors.ts";

/** golden.json as make.py writes it. */
interface Golden {
  readonly runs: readonly {
    readonly text: string | null;
    readonly generation: GenerationRequest;
    readonly text_ids: readonly number[];
    readonly token_ids: readonly number[];
    readonly decoded: string;
    readonly min_margin: number;
  }[];
}

/** Largest difference, in units of the reference's largest number. */
export function relativeError(actual: Float32Array, golden: GoldenTensor): number {
  expect(actual.length).toBe(golden.data.length);
  let scale = 0;
  let worst = 0;
  for (const [at, want] of golden.data.entries()) {
    scale = Math.max(scale, Math.abs(want));
    const difference = Math.abs((actual[at] ?? NaN) - want);
    if (!(difference <= worst)) worst = difference;
  }
  return worst / scale;
}

/** Where a checkpoint is not stored in half precision, scores move by up to a hundredth: what the reference decided by less may fall otherwise. */
const halfMargin = 0.02;

/** A golden's model, opened, and what the reference computed with it. */
interface Opened {
  /** The artifact's. */
  readonly folder: string;
  readonly model: GenerationModel;
  readonly pixels: Uint8Array;
  readonly golden: Golden;
  readonly tensors: ReadonlyMap<string, GoldenTensor>;
}

/** Builds the case in `folder` to `out` and reads its goldens. The caller closes the model. */
async function openCase(
  folder: string,
  out: string,
  recipe: Recipe = builtInRecipe("fp32"),
): Promise<Opened> {
  const { signal } = new AbortController();
  await buildArtifact({
    checkpoint: join(folder, "checkpoint"),
    out,
    recipe,
    signal,
    log: () => undefined,
  });
  const model = await loadGenerationModel(out, { threads: 1 });
  const read = createImageReader();
  const picture = join(import.meta.dirname, "picture.png");
  const { pixels } = await read(picture, model.manifest.image.size);
  return {
    folder: out,
    model,
    pixels,
    golden: JSON.parse(await readFile(join(folder, "golden.json"), "utf8")) as Golden,
    tensors: await readGolden(join(folder, "golden.safetensors")),
  };
}

/** The suite of one case; `more` adds the family's own tests. */
export function testParity(folder: string, name: string, more?: (opened: () => Opened) => void) {
  describe(`the ${name} checkpoint`, () => {
    let root: string;
    let opened: Opened;
    let model: GenerationModel;
    let pixels: Uint8Array;
    let golden: Golden;
    const tensor = (key: string): GoldenTensor => {
      const found = opened.tensors.get(key);
      if (found === undefined) throw new Error(`the golden has no ${key}`);
      return found;
    };

    beforeAll(async () => {
      root = await mkdtemp(join(tmpdir(), "parity-"));
      opened = await openCase(join(folder, name), join(root, name));
      ({ model, pixels, golden } = opened);
    });
    afterAll(async () => {
      await model.close();
      await rm(root, { recursive: true, force: true });
    });

    test("every traced tensor is within 1e-4 of the reference's scale", async () => {
      const trace = await model.trace(pixels, null);
      for (const key of ["image_embeds", "query_output", "projected"] as const) {
        expect(trace[key].dims, key).toEqual(tensor(key).shape);
        expect(relativeError(trace[key].data, tensor(key)), key).toBeLessThan(1e-4);
      }
    });

    test("first-step scores are within 1e-4, and greedy ids identical, for every text", async () => {
      const { projected } = await model.lookAt(pixels);
      for (const [at, run] of golden.runs.entries()) {
        const about = `run ${at}: ${run.text ?? "caption"}`;
        expect(model.textIds(run.text), about).toEqual(run.text_ids);
        const { logits } = await model.trace(pixels, run.text);
        expect(relativeError(logits.data, tensor(`logits.${at}`)), about).toBeLessThan(1e-4);
        const generation = resolveGeneration(run.generation);
        const { results } = await model.generate(projected.data, [run.text], generation);
        // No step of a golden run is nearer to a draw than this: equality is owed, not luck.
        expect(run.min_margin, about).toBeGreaterThan(1e-4);
        expect(results[0]?.token_ids, about).toEqual(run.token_ids);
        expect(results[0]?.text, about).toBe(run.decoded.trim());
      }
    });

    test("two pictures in one batch give what each gives alone", async () => {
      const one = model.pixelValues(pixels);
      const other = model.pixelValues(pixels.map((byte) => 255 - byte));
      const { size } = model.manifest.image;
      const data = new Float32Array([...one.data, ...other.data]);
      const both = await model.features(
        await model.vision({ type: "float32", dims: [2, 3, size, size], data }),
      );
      const dims = tensor("projected").shape;
      expect(both.projected.dims).toEqual([2, ...dims.slice(1)]);
      const half = both.projected.data.length / 2;
      for (const [at, input] of [one, other].entries()) {
        const alone = await model.features(await model.vision(input));
        const part = both.projected.data.subarray(at * half, (at + 1) * half);
        const golden = { shape: dims, data: alone.projected.data };
        expect(relativeError(part, golden)).toBeLessThan(1e-5);
      }
    });

    test("texts of unequal length in one batch give what each gives alone", async () => {
      const { projected } = await model.lookAt(pixels);
      const generation = resolveGeneration({ max_new_tokens: 12 });
      const texts = golden.runs.map((run) => run.text);
      const together = await model.generate(projected.data, texts, generation);
      for (const [at, text] of texts.entries()) {
        const alone = await model.generate(projected.data, [text], generation);
        expect(together.results[at]?.token_ids, text ?? "caption").toEqual(
          alone.results[0]?.token_ids,
        );
      }
    });
    test("in half precision the same ids, wherever a step is not nearly a draw", async () => {
      const half = await openCase(join(folder, name), join(root, "half"), builtInRecipe("fp16"));
      try {
        const { projected } = await half.model.lookAt(pixels);
        let owed = 0;
        for (const [at, run] of golden.runs.entries()) {
          const { logits } = await half.model.trace(pixels, run.text);
          const about = `run ${at}: ${run.text ?? "caption"}`;
          const error = relativeError(logits.data, tensor(`logits.${at}`));
          expect(error, about).toBeLessThan(1e-2);
          if (run.min_margin < halfMargin) continue;
          owed += 1;
          const generation = resolveGeneration(run.generation);
          const { results } = await half.model.generate(projected.data, [run.text], generation);
          expect(results[0]?.token_ids, about).toEqual(run.token_ids);
        }
        expect(owed).toBeGreaterThan(0);
      } finally {
        await half.model.close();
      }
    });
    more?.(() => opened);
  });
}
