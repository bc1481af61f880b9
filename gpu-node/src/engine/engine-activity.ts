// What the engine tells the door of its work and its state, for metrics, traces and the log; never for
// decisions (EngineStats is for those). Plain data that survives structured clone.
import type { LoopLag } from "../observe/loop-lag.ts";

/** Where the time of a job goes, in the order in which it goes there; `wait` is all that it stood in line in the engine. */
export type Stage = "wait" | "vision" | "prefill" | "decode" | "match" | "embed";

/** How often something of this size was done. */
export type SizeCount = readonly [size: number, times: number];

/** What was done since the last one of these, added up. */
export interface EngineWork {
  /** Rows that a decode run began with, and how many runs had so many. */
  readonly decodeRuns: readonly SizeCount[];
  /** Steps of those runs. */
  readonly decodeSteps: number;
  /** Tokens decided, whether or not anybody still waits for them. */
  readonly decodeTokens: number;
  /** Rows whose prompts were read together, and how often so many. */
  readonly prefills: readonly SizeCount[];
  /** Images that one run of the vision tower took, and how often so many. */
  readonly visionBatches: readonly SizeCount[];
}

/** How the batch stands. */
export interface BatchState {
  /** Rows that the next decode step computes. */
  readonly rows: number;
  /** Rows that it can compute at most. */
  readonly maxRows: number;
  /** Keys and values that are held. */
  readonly kvBytes: number;
  /** Texts and comparisons that wait in the engine, by what they wait for. */
  readonly waiting: Readonly<Partial<Record<"vision" | "prefill" | "compare", number>>>;
}

/** Sent at most every half second while something runs, and now and then while nothing does. */
export interface EngineActivity {
  readonly work: EngineWork;
  readonly batch: BatchState;
  readonly rssBytes: number;
  readonly loopLag: LoopLag;
}

/** When a job was in a stage: milliseconds from its arrival in the engine. */
export interface StageSpan {
  readonly stage: Stage;
  readonly startMs: number;
  readonly endMs: number;
}

/** What the engine knows of how one job went, as far as it knows it. */
export interface JobDetail {
  /** In the order of their start; without it the stages' times are taken to follow one another. */
  readonly timeline?: readonly StageSpan[];
  /** Images in the vision batch that the job's image was in. */
  readonly visionImages?: number;
  readonly decodeRuns?: number;
  readonly decodeSteps?: number;
  /** Rows of the batch, the job's own among them, in the mean over its steps. */
  readonly meanRows?: number;
}
