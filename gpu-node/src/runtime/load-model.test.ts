import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { resolveGeneration } from "@blip2-edge/shared/contracts/generation";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { nanoArtifact } from "../../../test/support/nano-artifact.ts";
import type { GenerationModel } from "./generation-model.ts";
import { loadGenerationModel, loadModel } from "./load-model.ts";

let artifact: string;
let model: GenerationModel;
let size: number;
beforeAll(async () => {
  artifact = await nanoArtifact();
  model = await loadGenerationModel(artifact, { threads: 1 });
  ({ size } = model.manifest.image);
});
afterAll(() => model.close());

type Colour = readonly [number, number, number];

/** A square on a plain ground: simple, but no two of them alike. */
function square(ground: Colour, ink: Colour, from: number, side: number): Uint8Array {
  const rgb = new Uint8Array(size * size * 3);
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < size; x += 1) {
      const inside = x >= from && x < from + side && y >= from && y < from + side;
      rgb.set(inside ? ink : ground, (y * size + x) * 3);
    }
  }
  return rgb;
}
const pictures = (): Uint8Array[] => [
  square([40, 90, 200], [250, 220, 40], 60, 90),
  square([230, 230, 230], [200, 30, 30], 20, 60),
  square([20, 20, 20], [40, 160, 70], 110, 80),
];
const texts = [
  null,
  "a picture of",
  "Question: how many objects are there? Answer:",
  "Question: what is the color of the background? Answer:",
];

describe("generate", () => {
  test.each([
    ["the defaults", {}],
    ["every processor", { repetition_penalty: 1.4, no_repeat_ngram_size: 2, min_new_tokens: 9 }],
  ])("texts in one batch give the ids of one at a time, with %s", async (_, request) => {
    const generation = resolveGeneration({ ...request, max_new_tokens: 24 });
    for (const picture of pictures()) {
      const { projected } = await model.lookAt(picture);
      const batch = await model.generate(projected.data, texts, generation);
      for (const [index, text] of texts.entries()) {
        const alone = (await model.generate(projected.data, [text], generation)).results[0];
        const batched = batch.results[index];
        expect(batched?.token_ids).toEqual(alone?.token_ids);
        expect(batched?.text).toBe(alone?.text);
        expect(Math.abs((batched?.log_prob ?? 9) - (alone?.log_prob ?? 0))).toBeLessThan(1e-4);
      }
    }
  });

  test("ends at the family's end token, which it keeps, and counts what it used", async () => {
    const { projected } = await model.lookAt(pictures()[0] ?? new Uint8Array());
    const { results } = await model.generate(projected.data, [null], resolveGeneration({}));
    const [result] = results;
    const { queries } = model.manifest.qformer;
    expect(result?.finish_reason).toBe("stop");
    expect(model.manifest.tokens.eos).toContain(result?.token_ids.at(-1));
    expect(result?.text).toMatch(/ on a blue background$/);
    expect(result?.usage).toEqual({
      image_tokens: queries,
      prompt_tokens: 1,
      completion_tokens: result?.token_ids.length,
    });
    expect(result?.log_prob).toBeLessThan(0);
  });

  test("what does not fit the context is refused with its numbers", async () => {
    const { projected } = await model.lookAt(pictures()[0] ?? new Uint8Array());
    const long = "how many owls are there? ".repeat(30);
    const run = model.generate(projected.data, [long], resolveGeneration({}));
    await expect(run).rejects.toMatchObject({ code: "prompt_too_long" });
    await expect(run).rejects.toThrow(/takes 16 tokens.* 20 new .* of 128/);
  });

  test("different pictures give different tensors, the same picture the same", async () => {
    const [first, second] = pictures() as [Uint8Array, Uint8Array];
    const one = await model.trace(first, null);
    expect((await model.trace(first, null)).logits.data).toEqual(one.logits.data);
    expect((await model.trace(second, null)).logits.data).not.toEqual(one.logits.data);
  });
});

test("a trace holds every tensor under its name and with its shape", async () => {
  const { manifest } = model;
  const trace = await model.trace(pictures()[1] ?? new Uint8Array(), "a picture of");
  const shapes = Object.entries(trace).map(([name, { dims }]) => [name, [...dims]]);
  expect(Object.fromEntries(shapes)).toEqual({
    pixel_values: [1, 3, size, size],
    image_embeds: [1, manifest.vision.tokens, manifest.vision.hidden],
    query_output: [1, manifest.qformer.queries, manifest.qformer.hidden],
    projected: [1, manifest.qformer.queries, manifest.decoder.hidden],
    logits: [1, manifest.decoder.vocab],
  });
  // The same first step as generation's: its best id is the first one generated.
  const { results } = await model.generate(
    trace.projected.data,
    ["a picture of"],
    resolveGeneration({ max_new_tokens: 1 }),
  );
  const best = trace.logits.data.indexOf(Math.max(...trace.logits.data));
  expect(results[0]?.token_ids).toEqual([best]);
});

describe("loadModel", () => {
  test("a folder that is no artifact, and a graph that is no graph", async () => {
    await expect(loadModel("/nowhere")).rejects.toMatchObject({ code: "artifact_invalid" });
    const folder = await mkdtemp(join(tmpdir(), "broken-artifact-"));
    try {
      await cp(artifact, folder, { recursive: true });
      const { vision } = model.manifest.graphs;
      const bytes = model.manifest.files[vision.file]?.bytes ?? 0;
      await writeFile(join(folder, vision.file), new Uint8Array(bytes).fill(7));
      await expect(loadModel(folder)).rejects.toMatchObject({ code: "artifact_invalid" });
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
