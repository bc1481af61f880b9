// What the graphs of one model take, as running means of what was measured: for the scheduler and for admission.
import type { EngineCosts } from "./messages.ts";
import type { ModelCosts } from "./schedule.ts";

export interface MeasuredCosts {
  looked(images: number, tookMs: number): void;
  prefilled(tokens: number, tookMs: number): void;
  decoded(rows: number, steps: number, tookMs: number): void;
  /** For a batch of so many rows. */
  model(rows: number): ModelCosts;
  /** Of what was measured; `rows`: of a full batch. */
  engine(rows: number): EngineCosts;
}

/** Weight of the newest measurement. */
const smoothing = 0.2;
/** Of a small model: a guess must err low, or it would hold up those who wait. */
const firstGuess = { perImage: 20, perPromptToken: 0.2, perStep: 2 } as const;

function runningMean() {
  let mean: number | undefined;
  return {
    add: (value: number): void => {
      mean = mean === undefined ? value : mean + smoothing * (value - mean);
    },
    get value() {
      return mean;
    },
  };
}

/** Steps of batches of different sizes are measured apart: 1, 2, 3-4, 5-8 ... rows. */
const bucketOf = (rows: number): number => Math.ceil(Math.log2(Math.max(1, rows)));

export function createCosts(): MeasuredCosts {
  const image = runningMean();
  const promptToken = runningMean();
  const steps = new Map<number, ReturnType<typeof runningMean>>();

  /** Of the nearest size that was measured. */
  const perStep = (rows: number): number | undefined => {
    const wanted = bucketOf(rows);
    const known = [...steps.keys()].sort((a, b) => Math.abs(a - wanted) - Math.abs(b - wanted));
    return known[0] === undefined ? undefined : steps.get(known[0])?.value;
  };

  return {
    looked: (images, tookMs) => image.add(tookMs / Math.max(1, images)),
    prefilled: (tokens, tookMs) => promptToken.add(tookMs / Math.max(1, tokens)),
    decoded(rows, made, tookMs) {
      const bucket = bucketOf(rows);
      const mean = steps.get(bucket) ?? runningMean();
      mean.add(tookMs / Math.max(1, made));
      steps.set(bucket, mean);
    },
    model: (rows) => ({
      perImage: image.value ?? firstGuess.perImage,
      perPromptToken: promptToken.value ?? firstGuess.perPromptToken,
      perStep: perStep(rows) ?? firstGuess.perStep,
    }),
    engine(rows) {
      const step = perStep(rows);
      return {
        ...(image.value === undefined ? {} : { visionMs: image.value }),
        ...(promptToken.value === undefined ? {} : { prefillMsPerToken: promptToken.value }),
        ...(step === undefined ? {} : { decodeMsPerStep: step }),
      };
    },
  };
}
