// The whole artifact beside a float32 artifact of the same checkpoint, made for the occasion: the same greedy
// ids, the same features. Both are in memory at once, so this is for models that fit.
import { join } from "node:path";
import { resolveGeneration } from "@blip2-edge/shared/contracts/generation";
import { buildArtifact } from "../build/build-artifact.ts";
import { loadModel, type Model } from "../runtime/load-model.ts";
import { compareTensors } from "./compare.ts";
import { drawPicture } from "./picture.ts";

/** What is asked of every picture; null is the plain caption. */
const prompts: readonly (string | null)[] = [null, "Question: what is in the picture? Answer:"];
const pictures = 4;
const newTokens = 16;

const traced = ["image_embeds", "projected", "logits"] as const;

export interface WholeFigures {
  readonly pictures: number;
  readonly prompts: readonly (string | null)[];
  readonly max_new_tokens: number;
  /** Token ids that are the same at the same place, of all that either generated. */
  readonly identical_ids: number;
  readonly identical_generations: number;
  readonly generations: number;
  /** The lowest over pictures and prompts; of `logits`, those of the first new token. */
  readonly cosine: Readonly<Record<(typeof traced)[number], number>>;
}

/** Greedy, as many tokens as fit beside the picture and the prompt. */
async function generateIds(model: Model, rgb: Uint8Array, text: string | null) {
  const { manifest } = model;
  const room = manifest.decoder.context - manifest.qformer.queries - model.textIds(text).length;
  const generation = resolveGeneration({ max_new_tokens: Math.max(1, Math.min(newTokens, room)) });
  const { projected } = await model.lookAt(rgb);
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
  const cosine = { image_embeds: 1, projected: 1, logits: 1 };
  let [same, all, identical, generations] = [0, 0, 0, 0];
  for (let seed = 0; seed < pictures; seed += 1) {
    const rgb = drawPicture(float.manifest.image.size, seed);
    for (const text of prompts) {
      signal.throwIfAborted();
      const want = await float.trace(rgb, text);
      const got = await mine.trace(rgb, text);
      for (const name of traced) {
        cosine[name] = Math.min(cosine[name], compareTensors(want[name], got[name]).cosine);
      }
      const wantIds = await generateIds(float, rgb, text);
      const gotIds = await generateIds(mine, rgb, text);
      const agreeing = wantIds.filter((id, at) => id === gotIds[at]).length;
      const longest = Math.max(wantIds.length, gotIds.length);
      same += agreeing;
      all += longest;
      generations += 1;
      if (agreeing === longest) identical += 1;
    }
  }
  return {
    pictures,
    prompts,
    max_new_tokens: newTokens,
    identical_ids: all === 0 ? 1 : same / all,
    identical_generations: identical,
    generations,
    cosine,
  };
}
