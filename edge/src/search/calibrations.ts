// What the scores of a retrieval model mean: for each stage the curve from its score to the probability that a
// hit answers the query, and the score below which there is no match. Measured by `npm run lab:search`.
import { probabilityOf, type Logistic } from "./calibrate.ts";

export type CalibratedStage = "text_mean" | "itc" | "itm";

export interface StageCalibration extends Logistic {
  readonly minScore: number;
}
type Calibration = Readonly<Record<CalibratedStage, StageCalibration>>;

/** By the name of a model, its precision left out. */
const calibrations: Readonly<Record<string, Calibration>> = {
  // npm run lab:search -- --scenes 1000 --queries 300 (seed 11, fp32); docs/search.md says what they keep out.
  "nano-itm": {
    text_mean: { slope: 27.112, intercept: -17.382, minScore: 0.334 },
    itc: { slope: 39.52, intercept: -29.906, minScore: 0.538 },
    itm: { slope: 11.293, intercept: -7.828, minScore: 0.712 },
  },
};

/** Undefined: nobody has measured this model. */
export const calibrationOf = (model: string): Calibration | undefined =>
  calibrations[model.split("@")[0] ?? ""];

/** 0 to 1: a probability where the stage is calibrated, else the score as it is, from 0. */
export const scoreOf = (calibration: Logistic | undefined, score: number): number =>
  calibration === undefined ? Math.min(1, Math.max(0, score)) : probabilityOf(calibration, score);
