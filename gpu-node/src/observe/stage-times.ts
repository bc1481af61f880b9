// When a job was in the queue and in each stage, from the durations and, where the engine gives them, the
// intervals that it measured on its own clock. Pure arithmetic.
import type { StageSpan } from "../engine/engine-activity.ts";

/** On the clock of whoever asks. */
export interface StageTime {
  readonly stage: string;
  readonly startMs: number;
  readonly endMs: number;
}

export interface JobTimes {
  /** When the job was handed to admission. */
  readonly admittedAtMs: number;
  /** When its outcome was there. */
  readonly doneAtMs: number;
  readonly queueMs: number;
  /** In the order in which they came. */
  readonly stages: Readonly<Record<string, number>>;
  /** From the job's arrival in the engine. */
  readonly timeline?: readonly StageSpan[];
}

/**
 * The queue first, then the stages: where the engine gave no timeline, one after the other. A stage never leaves
 * the job: the engine's clock is another one, and the way between the processes costs time, too.
 */
export function stageTimes(times: JobTimes): readonly StageTime[] {
  const { admittedAtMs, doneAtMs, queueMs, stages, timeline } = times;
  const inJob = (at: number): number => Math.min(Math.max(at, admittedAtMs), doneAtMs);
  const engineAtMs = inJob(admittedAtMs + queueMs);
  const queue: StageTime = { stage: "queue", startMs: admittedAtMs, endMs: engineAtMs };
  if (timeline !== undefined) {
    return [
      queue,
      ...timeline.map(({ stage, startMs, endMs }) => ({
        stage,
        startMs: inJob(engineAtMs + startMs),
        endMs: inJob(engineAtMs + endMs),
      })),
    ];
  }
  let at = engineAtMs;
  const laid = Object.entries(stages).map(([stage, tookMs]) => {
    const startMs = inJob(at);
    at += tookMs;
    return { stage, startMs, endMs: inJob(at) };
  });
  return [queue, ...laid];
}
