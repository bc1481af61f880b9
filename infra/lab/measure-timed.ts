// What one timed node takes, measured on its models alone and on a real clock, stage by stage and batch by batch as
// `blip2 bench` does with real ones: timers are late, and a prediction must know by how much.
import { resolveGeneration } from "@blip2-edge/shared/contracts/generation";
import { realClock } from "../../edge/src/nodes/clock.ts";
import type { Writer } from "../../gpu-node/src/engine/writing-job.ts";
import { floatTensor } from "../../gpu-node/src/tensor/tensor.ts";
import type { NodeProfile, Points } from "../capacity/node-profile.ts";
import { createTimedComparer, createTimedWriter } from "../capacity/timed-models.ts";

const repeats = 3;
const steps = 8;

/** The median of a few. */
async function tookMs(work: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let repeat = 0; repeat < repeats; repeat += 1) {
    const from = performance.now();
    await work();
    times.push(performance.now() - from);
  }
  return times.toSorted((a, b) => a - b)[Math.floor(repeats / 2)] ?? 0;
}
async function pointsAt(sizes: readonly number[], of: (size: number) => Promise<number>) {
  const points: Points = [];
  for (const size of sizes) points.push([size, await of(size)]);
  return points;
}

export async function measureTimed(profile: NodeProfile, mostTokens: number): Promise<NodeProfile> {
  const { sleep } = realClock;
  const timed = { profile, sleep, tokensOf: () => mostTokens };
  const [writer, comparer] = [createTimedWriter(timed), createTimedComparer(timed)];
  const generation = resolveGeneration({ max_new_tokens: mostTokens });
  const prompts = (rows: number) =>
    Array.from({ length: rows }, (_, key) => ({
      key,
      prepared: writer.prepare({ projected: Float32Array.of(0), text: null, generation }),
    }));
  const opened = async (rows: number): Promise<ReturnType<Writer["openBatch"]>> => {
    const batch = writer.openBatch<number>();
    await batch.join(prompts(rows));
    return batch;
  };
  const images = (count: number) => floatTensor(new Float32Array(count), [count, 1, 1]);
  const texts = (count: number): string[] => Array.from({ length: count }, () => "a");
  return {
    ...profile,
    source: `measured on one node alone: ${profile.source}`,
    look_ms: await pointsAt([1, 4, 8], (count) => tookMs(() => writer.vision(images(count)))),
    prefill_ms: await pointsAt([1, 4, 7], (rows) =>
      tookMs(() => writer.openBatch<number>().join(prompts(rows))),
    ).then((points) => points.map(([rows, ms]) => [rows * (profile.image_tokens + 1), ms])),
    step_ms: await pointsAt([1, 4, 8, 16], async (rows) => {
      const batch = await opened(rows);
      return (await tookMs(() => batch.run(steps))) / steps;
    }),
    match_ms: await pointsAt([1, 4], (count) =>
      tookMs(() => comparer.match({}, texts(count), ["itm"])),
    ),
    embed_texts_ms: await pointsAt([1, 4], (count) =>
      tookMs(() => comparer.embedTexts(texts(count))),
    ),
  };
}
