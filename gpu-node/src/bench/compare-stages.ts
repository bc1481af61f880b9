// Measured times beside what the machine's limits allow.
import { allowedTime, type Limits } from "./limits.ts";
import type { CaptionTime, StageTime, StageTimes } from "./measure-stages.ts";
import type { CaptionRow, StageRow } from "./report.ts";
import {
  type ModelWork,
  type Stage,
  stageFlops,
  stageWeightBytes,
  stageWork,
} from "./stage-work.ts";

export interface Forced {
  readonly textTokens: number;
  readonly newTokens: number;
}

/** Of the steps that were timed: half of them are behind the middle one. */
const sizeOf = (batch: number, { textTokens, newTokens }: Forced) => ({
  batch,
  textTokens,
  made: newTokens / 2,
});

function compareStage(model: ModelWork, limits: Limits, time: StageTime, forced: Forced): StageRow {
  const work = stageWork(model, time.stage, sizeOf(time.batch, forced));
  const { seconds: allowedSeconds, ownSeconds } = allowedTime(work, limits);
  return {
    ...time,
    flops: stageFlops(work),
    weightBytes: stageWeightBytes(work),
    allowedSeconds,
    ownAllowedSeconds: ownSeconds,
    efficiency: allowedSeconds / time.seconds,
    ownEfficiency: ownSeconds / time.seconds,
    givesAwaySeconds: time.seconds - allowedSeconds,
  };
}

function compareCaption(
  model: ModelWork,
  limits: Limits,
  time: CaptionTime,
  forced: Forced,
): CaptionRow {
  const allowed = (stage: Stage): number =>
    allowedTime(stageWork(model, stage, sizeOf(time.images, forced)), limits).seconds;
  const allowedSeconds =
    allowed("vision") +
    allowed("qformer") +
    allowed("prefill") +
    (time.newTokens - 1) * allowed("decode");
  return { ...time, allowedSeconds, efficiency: allowedSeconds / time.seconds };
}

export const compareStages = (
  model: ModelWork,
  limits: Limits,
  times: StageTimes,
  forced: Forced,
) => ({
  stages: times.stages.map((time) => compareStage(model, limits, time, forced)),
  captions: times.captions.map((time) => compareCaption(model, limits, time, forced)),
});
