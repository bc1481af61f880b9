// The whole artifact beside a float32 artifact of the same checkpoint, made for the occasion: the same tensors
// on the way, and at the end the same greedy ids or the same scores. Both are in memory at once, so this is
// for models that fit.
import { join } from "node:path";
import { resolveGeneration } from "@blip2-edge/shared/contracts/generation";
import { buildArtifact } from "../build/build-artifact.ts";
import type { GenerationModel } from "../runtime/generation-model.ts";
import { loadModel, type Model } from "../runtime/load-model.ts";
import type { FloatTensor } from "../tensor/tensor.ts";
import { compareTensors } from "./compare.ts";
import { drawPicture } from "./picture.ts";

const pictures = 4;
const newTokens = 16;
/** What is asked of every picture (null is the plain caption), or compared with it. */
const texts = {
  generation: [null, "Question: what is in the picture? Answer:"],
  retrieval: ["a dog", "two red discs"],
} as const;

export interface WholeFigures {
  readonly pictures: number;
  readonly texts: readonly (string | null)[];
  /** Of every tensor of `blip2 trace`, the lowest over pictures and texts; logits are those of the first token. */
  readonly cosine: Readonly<Record<string, number>>;
  /** Of a model that generates. */
  readonly greedy?: GreedyFigures;
  /** Of a model that compares. */
  readonly itm?: { readonly max_difference: number };
}

export interface GreedyFigures {
  readonly max_new_tokens: number;
  readonly generations: number;
  readonly identical_generations: number;
  /** The share of ids that are the same at the same place, of all that either generated. */
  readonly identical_ids: number;
}

/** Greedy, as many tokens as fit beside the picture and the prompt. */
async function generateIds(model: GenerationModel, projected: FloatTensor, text: string | null) {
  const { decoder, qformer } = model.manifest;
  const room = decoder.context - qformer.queries - model.textIds(text).length;
  const generation = resolveGeneration({ max_new_tokens: Math.max(1, Math.min(newTokens, room)) });
  const { results } = await model.generate(projected.data, [text], generation);
  return results[0]?.token_ids ?? [];
}

/** `folder` takes the float32 artifact. Errors: as `buildArtifact` and `loadModel`. */
export async function verifyWhole(
  artifactFolder: string,
  checkpointFolder: string,
  folder: string,
  signal: AbortSignal,
): Promise<WholeFigures> {
  const reference = join(folder, "reference");
  const silent = () => undefined;
  await buildArtifact({ checkpoint: checkpointFolder, out: reference, signal, log: silent });
  const float = await loadModel(reference, { signal });
  try {
    const mine = await loadModel(artifactFolder, { signal });
    try {
      return await compareModels(float, mine, signal);
    } finally {
      await mine.close();
    }
  } finally {
    await float.close();
  }
}

async function compareModels(
  float: Model,
  mine: Model,
  signal: AbortSignal,
): Promise<WholeFigures> {
  const cosine: Record<string, number> = {};
  let maxDifference = 0;
  const greedy = createGreedyCount();
  for (let seed = 0; seed < pictures; seed += 1) {
    const rgb = drawPicture(float.manifest.image.size, seed);
    for (const text of texts[float.kind]) {
      signal.throwIfAborted();
      const want: Readonly<Record<string, FloatTensor>> = await float.trace(rgb, text);
      const got: Readonly<Record<string, FloatTensor>> = await mine.trace(rgb, text);
      for (const [name, tensor] of Object.entries(want)) {
        const other = got[name];
        if (other === undefined) throw new Error(`the artifact's trace has no ${name}`);
        const { cosine: found, maxAbsError } = compareTensors(tensor, other);
        if (name === "itm") maxDifference = Math.max(maxDifference, maxAbsError);
        else if (name !== "pixel_values") cosine[name] = Math.min(cosine[name] ?? 1, found);
      }
      const [wantProjected, gotProjected] = [want["projected"], got["projected"]];
      if (wantProjected === undefined || gotProjected === undefined) continue;
      if (float.kind === "generation" && mine.kind === "generation") {
        greedy.add(
          await generateIds(float, wantProjected, text),
          await generateIds(mine, gotProjected, text),
        );
      }
    }
  }
  return {
    pictures,
    texts: texts[float.kind],
    cosine,
    ...(float.kind === "generation"
      ? { greedy: greedy.figures() }
      : { itm: { max_difference: maxDifference } }),
  };
}

function createGreedyCount() {
  let [same, all, identical, generations] = [0, 0, 0, 0];
  return {
    add(want: readonly number[], got: readonly number[]): void {
      const agreeing = want.filter((id, at) => id === got[at]).length;
      const longest = Math.max(want.length, got.length);
      same += agreeing;
      all += longest;
      generations += 1;
      if (agreeing === longest) identical += 1;
    },
    figures: (): GreedyFigures => ({
      max_new_tokens: newTokens,
      generations,
      identical_generations: identical,
      identical_ids: all === 0 ? 1 : same / all,
    }),
  };
}
