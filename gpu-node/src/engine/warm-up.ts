// Runs every graph of a model in the shapes of a first request, and notes what each costs.
import { resolveGeneration } from "@blip2-edge/shared/contracts/generation";
import type { Comparer } from "./compare-jobs.ts";
import type { MeasuredCosts } from "./costs.ts";
import type { Writer } from "./writing-job.ts";

/** Enough that the decoder is run with a past. */
const steps = 4;
const generation = resolveGeneration({ max_new_tokens: steps + 1, min_new_tokens: steps + 1 });

export async function warmUpModel(
  model: Writer | Comparer,
  costs: Pick<MeasuredCosts, "looked" | "prefilled" | "decoded">,
  now: () => number,
): Promise<void> {
  const timed = async <T>(work: () => Promise<T>): Promise<readonly [T, number]> => {
    const startedAt = now();
    return [await work(), now() - startedAt];
  };
  const { size } = model.manifest.image;
  const black = model.pixelValues(new Uint8Array(size * size * 3));
  const [imageEmbeds, lookMs] = await timed(() => model.vision(black));
  costs.looked(1, lookMs);
  const { projected } = await model.features(imageEmbeds);
  if (model.kind === "retrieval") {
    await model.match({ imageEmbeds, projected }, ["a"], ["itm", "itc"]);
    return;
  }
  const prepared = model.prepare({ projected: projected.data, text: null, generation });
  const batch = model.openBatch<0>();
  const [, prefillMs] = await timed(() => batch.join([{ key: 0, prepared }]));
  costs.prefilled(model.manifest.qformer.queries + prepared.row.textIds.length, prefillMs);
  const [, decodeMs] = await timed(() => batch.run(steps));
  costs.decoded(1, steps, decodeMs);
  batch.remove([0]);
}
