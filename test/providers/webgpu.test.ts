// The webgpu provider against the CPU's: every family, nano at two precisions, on whatever Vulkan driver there is;
// a software one will do (docs/providers.md says how to have it). Skipped, with the reason, where there is none.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildArtifact } from "../../gpu-node/src/build/build-artifact.ts";
import { builtInRecipe, parseRecipe } from "../../gpu-node/src/quantize/recipe.ts";
import {
  type Answer,
  type ProviderProcess,
  type Question,
  startProviderProcess,
} from "../support/provider-answers.ts";
import { root } from "../support/stack.ts";
import { webgpuDriver } from "../support/webgpu-driver.ts";

const driver = await webgpuDriver();
if ("missing" in driver) console.warn(`webgpu is not tested here: ${driver.missing}`);

const fp32 = builtInRecipe("fp32");
/**
 * The tower stays in float32: a software driver takes most of a minute for its products at 4 bits. So do keys and
 * values: it may have no halves.
 */
const int4 = parseRecipe(
  {
    name: "int4-float-tower",
    parts: { vision: "fp32", decoder: { matrices: "int4", cache: "fp32" } },
    others: "int4",
  },
  "the test's recipe",
);
const nano = join(root, "gpu-node/nano/checkpoint");
const nanoItm = join(root, "gpu-node/nano/retrieval");
const tiny = (family: string): string => join(root, `test/golden/${family}/published/checkpoint`);
const picture = join(root, "gpu-node/nano/samples/two-owls-and-a-lion.png");
const captions = { texts: [null, "a photo of"], maxNewTokens: 6 };

/** A number of float32 and one that a step in 8 bits may have rounded to its neighbour. */
const tolerances = { float: 1e-4, rounded: 0.05 };

const cases = [
  ["a tiny opt", tiny("opt"), fp32, captions],
  ["a tiny t5", tiny("t5"), fp32, captions],
  ["a tiny retrieval model", tiny("retrieval"), fp32, { texts: ["a cat", "two dogs on a mat"] }],
  ["nano", nano, fp32, captions],
  ["nano at int4", nano, int4, { texts: [null], maxNewTokens: 4 }],
  ["nano-itm", nanoItm, fp32, { texts: ["two owls and a lion", "a red car"] }],
] as const;

function largestError(actual: Float32Array, wanted: Float32Array): number {
  expect(actual.length).toBe(wanted.length);
  const scale = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return (
    actual.reduce((most, value, at) => Math.max(most, Math.abs(value - (wanted[at] ?? NaN))), 0) /
    scale
  );
}

describe.skipIf("missing" in driver)("on webgpu", () => {
  let folder: string;
  let models: ProviderProcess;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "webgpu-"));
    models = startProviderProcess("env" in driver ? driver.env : {});
  });
  afterAll(async () => {
    models.end();
    await rm(folder, { recursive: true, force: true });
  });

  test.each(cases)(
    "%s answers as on the CPU",
    { timeout: 120_000 },
    async (name, checkpoint, recipe, asked) => {
      const artifact = join(folder, name.replaceAll(" ", "-"));
      const { signal } = new AbortController();
      await buildArtifact({ checkpoint, out: artifact, recipe, signal, log: () => {} });
      const ask = (provider: Question["provider"], placements: boolean): Promise<Answer> =>
        models.ask({
          artifact,
          provider,
          picture,
          maxNewTokens: 0,
          placements,
          ...asked,
        });
      const [cpu, webgpu] = [await ask("cpu", false), await ask("webgpu", false)];
      const tolerance = recipe === fp32 ? tolerances.float : tolerances.rounded;
      expect(largestError(webgpu.projected, cpu.projected)).toBeLessThan(tolerance);
      expect(webgpu.generated.map(({ ids }) => ids)).toEqual(cpu.generated.map(({ ids }) => ids));
      for (const [at, { logProb }] of cpu.generated.entries()) {
        expect(Math.abs((webgpu.generated[at]?.logProb ?? NaN) - logProb)).toBeLessThan(tolerance);
      }
      for (const [at, { itm, itc }] of cpu.matches.entries()) {
        expect(Math.abs((webgpu.matches[at]?.itm ?? NaN) - itm)).toBeLessThan(tolerance);
        expect(Math.abs((webgpu.matches[at]?.itc ?? NaN) - itc)).toBeLessThan(tolerance);
      }
      if (cpu.textVector !== null) {
        expect(largestError(webgpu.textVector ?? new Float32Array(), cpu.textVector)).toBeLessThan(
          tolerance,
        );
      }
      expect(cpu.generated.length + cpu.matches.length).toBe(asked.texts.length);
    },
  );

  test("halves answer as on the CPU, or the adapter's lack of them is said", async () => {
    const artifact = join(folder, "halves");
    const { signal } = new AbortController();
    const recipe = builtInRecipe("fp16");
    await buildArtifact({ checkpoint: tiny("opt"), out: artifact, recipe, signal, log: () => {} });
    const question = { artifact, picture, placements: false, ...captions };
    const cpu = await models.ask({ ...question, provider: "cpu" });
    const webgpu = await models.ask({ ...question, provider: "webgpu" }).catch(String);
    if (typeof webgpu === "string") {
      expect(webgpu).toMatch(/no 16-bit floats .*--precision fp32/);
    } else {
      expect(webgpu.generated.map(({ ids }) => ids)).toEqual(cpu.generated.map(({ ids }) => ids));
    }
  });
});
