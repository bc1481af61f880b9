// What many requests at once should take, from what was measured of each stage by itself: every picture and prompt
// at the rate of the largest batch, every decode step at the rate of the sequences that still go on.
import type { StageTime, StageTimes } from "./measure-stages.ts";
import type { Stage } from "./stage-work.ts";

/** Seconds for each image at the largest batch that was measured. */
function perImage(times: readonly StageTime[], stage: Stage): number {
  const [largest] = times
    .filter((time) => time.stage === stage)
    .toSorted((a, b) => b.batch - a.batch);
  return largest === undefined ? 0 : largest.seconds / largest.batch;
}

/** Between two measured batches on the line through both; beyond the ends as the nearest two go on. */
export function stepSeconds(times: readonly StageTime[], batch: number): number {
  const steps = times
    .filter(({ stage }) => stage === "decode")
    .toSorted((a, b) => a.batch - b.batch);
  const [first] = steps;
  if (first === undefined) return 0;
  if (steps.length === 1 || batch <= first.batch) return first.seconds;
  const above = Math.max(
    1,
    steps.findIndex((step) => step.batch >= batch),
  );
  const at = steps.some((step) => step.batch >= batch) ? above : steps.length - 1;
  const [from, to] = [steps[at - 1] ?? first, steps[at] ?? first];
  const slope = (to.seconds - from.seconds) / (to.batch - from.batch);
  return from.seconds + slope * (batch - from.batch);
}

/** Seconds to decode sequences of these lengths that start together; the first token is the prefill's. */
export function decodeSeconds(times: readonly StageTime[], lengths: readonly number[]): number {
  let seconds = 0;
  for (let step = 1; step < Math.max(...lengths); step += 1) {
    const going = lengths.filter((length) => length > step).length;
    seconds += stepSeconds(times, going);
  }
  return seconds;
}

/** Of captions of pictures that were not seen before. */
export const wholeSeconds = ({ stages }: StageTimes, lengths: readonly number[]): number =>
  lengths.length *
    (perImage(stages, "vision") + perImage(stages, "qformer") + perImage(stages, "prefill")) +
  decodeSeconds(stages, lengths);
