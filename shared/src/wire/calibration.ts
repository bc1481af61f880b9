// What the scores of one revision of a retrieval model mean: for each stage of a search the curve from the best
// hit's score to the probability that it answers, and the cut-off below which there is no match. Measured beside
// the artifact (blip2 eval search --calibrate), announced by its node. Invariant: a curve never changes an order.
import { z } from "zod";

/**
 * p = 1 / (1 + e^-(slope * score + intercept + what it reads of the text)): Platt 1999. Which cosine a true text
 * reaches hangs on the text, which is the same for all pictures that it is compared with.
 */
const curveSchema = z.object({
  slope: z.number().positive(),
  intercept: z.number(),
  /** Times the logarithm of its number of words. */
  log_words: z.number().optional(),
  /** Times the numbers of its vector. */
  text: z.array(z.number()).max(4096).optional(),
  /** On the scale of the probability. */
  min_score: z.number().min(0).max(1),
});
export type Curve = z.infer<typeof curveSchema>;

export const calibratedStages = ["text_mean", "itc", "itm", "label"] as const;
export type CalibratedStage = (typeof calibratedStages)[number];

export const calibrationSchema = z.object({
  /** Among so many the best hit of a search was looked for; among many more, more come near by chance. */
  pictures: z.int().min(1).optional(),
  /** The averaged vector. */
  text_mean: curveSchema.optional(),
  /** The nearest of the query vectors. */
  itc: curveSchema.optional(),
  /** The matching head's probability. */
  itm: curveSchema.optional(),
  /** Whether a label is true of a picture, by the nearest of its query vectors. */
  label: curveSchema.optional(),
});
export type Calibration = z.infer<typeof calibrationSchema>;

/** Of a text as it is compared. */
export interface TextFacts {
  readonly words: number;
  /** Of length 1. */
  readonly vector: ArrayLike<number>;
}

export function probabilityOf(
  { slope, intercept, log_words: logWords = 0, text = [] }: Omit<Curve, "min_score">,
  score: number,
  { words, vector }: TextFacts = { words: 1, vector: [] },
): number {
  const ofVector = text.reduce((sum, weight, at) => sum + weight * (vector[at] ?? NaN), 0);
  const linear = slope * score + intercept + logWords * Math.log(words) + ofVector;
  return 1 / (1 + Math.exp(-linear));
}

/** One at least. */
export const wordsIn = (text: string): number =>
  Math.max(1, text.match(/[\p{L}\p{N}]+/gu)?.length ?? 0);
