// Rows that come and go: whoever joins whom and when, each request is answered as if it were alone. Real models:
// nano at several precisions, and the smallest T5.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type GenerationRequest, resolveGeneration } from "@blip2-edge/shared/contracts/generation";
import type { InferResult } from "@blip2-edge/shared/wire/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { nanoArtifact } from "../../../test/support/nano-artifact.ts";
import { root as repository } from "../../../test/support/stack.ts";
import { buildArtifact } from "../build/build-artifact.ts";
import { createRandom, type Random } from "../generate/random.ts";
import { builtInRecipe, type PrecisionName } from "../quantize/recipe.ts";
import type { GenerateInput, GenerationModel } from "./generation-model.ts";
import { loadGenerationModel } from "./load-model.ts";

const checkpoints = {
  nano: join(repository, "gpu-node/nano/checkpoint"),
  t5: join(repository, "test/golden/t5/published/checkpoint"),
};
let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "joined-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function open(name: keyof typeof checkpoints, precision: PrecisionName) {
  if (name === "nano" && precision === "fp32") return loadGenerationModel(await nanoArtifact());
  const out = join(root, `${name}-${precision}`);
  await buildArtifact({
    checkpoint: checkpoints[name],
    out,
    recipe: builtInRecipe(precision),
    signal: AbortSignal.timeout(60_000),
    log: () => undefined,
  });
  return loadGenerationModel(out, { threads: 1 });
}

/**
 * Sums in another order differ in their last bit, and a code of 8 bits that stood on the edge falls on its other
 * side: no neighbour's numbers come into it, but it is more than the last bit.
 */
const codeStep = 0.02;

const texts = [null, "a", "Question: how many objects are there? Answer:", "a picture of two"];
const settings: readonly GenerationRequest[] = [
  { max_new_tokens: 9 },
  { max_new_tokens: 24, min_new_tokens: 11 },
  { max_new_tokens: 1 },
  { max_new_tokens: 12, num_beams: 3 },
  { max_new_tokens: 10, do_sample: true, seed: 5, num_return_sequences: 2 },
  { max_new_tokens: 16, repetition_penalty: 1.3, min_new_tokens: 6 },
];
const greedyAlone = settings.slice(0, 3);

async function inputsOf(
  model: GenerationModel,
  random: Random,
  some: readonly GenerationRequest[],
): Promise<GenerateInput[]> {
  const { size } = model.manifest.image;
  const inputs: GenerateInput[] = [];
  for (let at = 0; at < 9; at += 1) {
    const rgb = Uint8Array.from({ length: size * size * 3 }, () => Math.floor(256 * random()));
    inputs.push({
      projected: (await model.lookAt(rgb)).projected.data,
      text: texts[Math.floor(texts.length * random())] ?? null,
      generation: resolveGeneration(some[at % some.length] ?? {}),
    });
  }
  return inputs;
}

/** Lets the inputs join one after another or several at once, with runs of any length between. */
async function together(
  model: GenerationModel,
  inputs: readonly GenerateInput[],
  random: Random,
): Promise<(InferResult | undefined)[]> {
  const batch = model.openBatch<number>();
  const prepared = inputs.map((input) => model.prepare(input));
  const results: (InferResult | undefined)[] = inputs.map(() => undefined);
  let next = 0;
  while (next < inputs.length || batch.rows > 0) {
    const joins = next < inputs.length && (batch.rows === 0 || random() < 0.4);
    const count = Math.min(1 + Math.floor(3 * random()), inputs.length - next);
    const standing = joins
      ? await batch.join(
          prepared
            .slice(next, next + count)
            .map((each, at) => ({ key: next + at, prepared: each })),
        )
      : await batch.run(1 + Math.floor(7 * random()));
    if (joins) next += count;
    for (const { key, done, error } of standing) {
      expect(error).toBeUndefined();
      const mine = prepared[key];
      if (done !== undefined && mine !== undefined) results[key] = model.resultOf(mine, done);
    }
  }
  return results;
}

describe.each([
  ["nano", "fp32"],
  ["nano", "int8"],
  ["nano", "int4"],
  ["nano", "mixed"],
  ["t5", "fp32"],
] as const)("%s at %s", (name, precision) => {
  test.each([
    ["greedy requests", greedyAlone],
    ["requests of every kind", settings],
  ])("%s are answered as if alone", async (_, some) => {
    const model = await open(name, precision);
    try {
      const random = createRandom(11, some.length);
      const inputs = await inputsOf(model, random, some);
      const alone = [];
      for (const input of inputs) alone.push((await model.generateBatch([input])).results[0]);
      for (let round = 0; round < 3; round += 1) {
        for (const [at, result] of (await together(model, inputs, random)).entries()) {
          const wanted = alone[at];
          expect(result?.token_ids, `input ${at}`).toEqual(wanted?.token_ids);
          expect(result?.text).toBe(wanted?.text);
          const apart = Math.abs((result?.log_prob ?? NaN) - (wanted?.log_prob ?? 0));
          expect(apart).toBeLessThan(precision === "fp32" ? 1e-4 : codeStep);
          expect(result?.sequences?.map(({ token_ids }) => token_ids)).toEqual(
            wanted?.sequences?.map(({ token_ids }) => token_ids),
          );
        }
      }
    } finally {
      await model.close();
    }
  });
});

test("a request that leaves early changes nothing for the others", async () => {
  const model = await open("nano", "fp32");
  try {
    const inputs = await inputsOf(model, createRandom(3, 0), [
      { max_new_tokens: 20, min_new_tokens: 20 },
    ]);
    const batch = model.openBatch<number>();
    const prepared = inputs.slice(0, 4).map((input) => model.prepare(input));
    await batch.join(prepared.map((each, key) => ({ key, prepared: each })));
    await batch.run(3);
    batch.remove([0, 2]);
    expect(batch.rows).toBe(2);
    const done = new Map<number, InferResult>();
    while (batch.rows > 0) {
      for (const each of await batch.run(5)) {
        if (each.done !== undefined) {
          done.set(each.key, model.resultOf(prepared[each.key]!, each.done));
        }
      }
    }
    expect(new Set(done.keys())).toEqual(new Set([1, 3]));
    for (const [key, result] of done) {
      const alone = (await model.generateBatch([inputs[key]!])).results[0];
      expect(result.token_ids).toEqual(alone?.token_ids);
    }
  } finally {
    await model.close();
  }
});
