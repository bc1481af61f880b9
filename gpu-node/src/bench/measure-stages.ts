// What each stage of a model takes, in this process, without a node around it. Texts are forced to their length and
// pixels are random: time depends on neither.
import { resolveGeneration } from "@blip2-edge/shared/contracts/generation";
import type { GenerateInput, GenerationModel } from "../runtime/generation-model.ts";
import { loadGenerationModel } from "../runtime/load-model.ts";
import type { ProviderName } from "../runtime/providers.ts";
import { type FloatTensor, floatTensor } from "../tensor/tensor.ts";
import { bestOf, type Repeats } from "./best-of.ts";
import { benchPixels } from "./bench-pictures.ts";
import type { Stage } from "./stage-work.ts";

export interface StagesSettings extends Repeats {
  readonly artifact: string;
  readonly threads: number;
  readonly provider: ProviderName;
  readonly images: readonly number[];
  readonly decodeBatches: readonly number[];
  /** At least 2: the first comes with the prefill. */
  readonly newTokens: number;
  readonly say: (line: string) => void;
}

export interface StageTime {
  readonly stage: Stage;
  /** Images, or sequences that are decoded together. */
  readonly batch: number;
  /** Of one pass; of a decode step. */
  readonly seconds: number;
}
/** From pixels to the last token of every image. */
export interface CaptionTime {
  readonly images: number;
  readonly newTokens: number;
  readonly seconds: number;
}
export interface StageTimes {
  readonly loadSeconds: number;
  readonly stages: readonly StageTime[];
  readonly captions: readonly CaptionTime[];
}

const exactly = (tokens: number) =>
  resolveGeneration({ max_new_tokens: tokens, min_new_tokens: tokens });

function stack(tensors: readonly FloatTensor[]): FloatTensor {
  const [first] = tensors;
  if (first === undefined) throw new Error("nothing to stack");
  const data = new Float32Array(tensors.length * first.data.length);
  tensors.forEach((tensor, at) => data.set(tensor.data, at * first.data.length));
  return floatTensor(data, [tensors.length, ...first.dims.slice(1)]);
}

/** A plain caption of each, forced to `tokens`. `projected` f32 [batch, queries, hidden], taken in turn. */
function inputsOf(projected: FloatTensor, count: number, tokens: number): GenerateInput[] {
  const [batch = 1] = projected.dims;
  const size = projected.data.length / batch;
  return Array.from({ length: count }, (_, at) => ({
    projected: projected.data.subarray((at % batch) * size, ((at % batch) + 1) * size),
    text: null,
    generation: exactly(tokens),
  }));
}

/** Errors: those of loadGenerationModel, the signal's reason. */
export async function measureStages(settings: StagesSettings): Promise<StageTimes> {
  const { artifact, threads, provider, signal, say } = settings;
  say("loading the model");
  const startedAt = performance.now();
  const model = await loadGenerationModel(artifact, { threads, provider, signal });
  const loadSeconds = (performance.now() - startedAt) / 1000;
  try {
    return { loadSeconds, ...(await measureModel(model, settings)) };
  } finally {
    await model.close();
  }
}

async function measureModel(
  model: GenerationModel,
  settings: StagesSettings,
): Promise<Omit<StageTimes, "loadSeconds">> {
  const { images, decodeBatches, newTokens, signal, say } = settings;
  const { size } = model.manifest.image;
  const best = async (call: () => Promise<unknown>): Promise<number> =>
    (await bestOf(settings, call)) / 1000;
  /** The shortest of what `call` says that it took. */
  const bestReported = async (call: () => Promise<number>): Promise<number> => {
    let least = Infinity;
    await bestOf(settings, async () => {
      least = Math.min(least, await call());
    });
    return least / 1000;
  };
  const stages: StageTime[] = [];
  const captions: CaptionTime[] = [];
  let projected: FloatTensor | undefined;
  for (const batch of images) {
    say(`measuring ${batch} ${batch === 1 ? "image" : "images"}`);
    const pixels = stack(
      Array.from({ length: batch }, (_, at) => model.pixelValues(benchPixels(size, at))),
    );
    const tell = (stage: Stage, seconds: number) => stages.push({ stage, batch, seconds });
    const imageEmbeds = await model.vision(pixels);
    tell("vision", await best(() => model.vision(pixels)));
    const features = await model.features(imageEmbeds);
    projected ??= features.projected;
    tell("qformer", await best(() => model.features(imageEmbeds)));
    const first = inputsOf(features.projected, batch, 1);
    const prefill = async () => (await model.generateBatch(first, { signal })).prefillMs;
    tell("prefill", await bestReported(prefill));
    const seconds = await best(async () => {
      const seen = await model.features(await model.vision(pixels));
      return model.generateBatch(inputsOf(seen.projected, batch, newTokens), { signal });
    });
    captions.push({ images: batch, newTokens, seconds });
  }
  for (const batch of decodeBatches) {
    if (projected === undefined) break;
    say(`measuring the decoding of ${batch} at a time`);
    const inputs = inputsOf(projected, batch, newTokens);
    // The first token is the prefill's.
    const step = async () =>
      (await model.generateBatch(inputs, { signal })).decodeMs / (newTokens - 1);
    stages.push({ stage: "decode", batch, seconds: await bestReported(step) });
  }
  return { stages, captions };
}
