// What a bench leaves behind. Absolute times are noise on shared machines: every one has the limit beside it that was
// measured in the same run, and the ratio of both.
import type { Limits } from "./limits.ts";
import type { Machine } from "./machine.ts";
import type { LoadReport } from "./measure-load.ts";
import type { CaptionTime, StageTime } from "./measure-stages.ts";
import type { SoakReport } from "./soak.ts";

/** One stage beside what the kernels allow it. */
export interface StageRow extends StageTime {
  readonly flops: number;
  readonly weightBytes: number;
  /** By the best of the runtime's kernels for the width. */
  readonly allowedSeconds: number;
  /** By the kernels that the model uses. */
  readonly ownAllowedSeconds: number;
  /** Allowed to measured. */
  readonly efficiency: number;
  readonly ownEfficiency: number;
  /** Measured without what is allowed. */
  readonly givesAwaySeconds: number;
}

export interface CaptionRow extends CaptionTime {
  readonly allowedSeconds: number;
  readonly efficiency: number;
}

export interface NodeFacts {
  readonly readySeconds: number;
  /** Door and engine at their highest; null where the system does not tell. */
  readonly peakBytes: number | null;
}

/** The reference implementation on the same machine. */
export interface PeerRow {
  readonly dtype: string;
  readonly images: number;
  readonly newTokens: number;
  readonly visionSeconds: number;
  readonly captionSeconds: number;
}

export interface BenchReport {
  readonly format: "blip2-edge/bench/v1";
  readonly machine: Machine;
  readonly settings: {
    /** 0: the machine's physical cores. */
    readonly threads: number;
    readonly provider: string;
    readonly runtime: string;
    readonly newTokens: number;
    readonly repeats: number;
  };
  readonly artifact: {
    readonly name: string;
    readonly modelRevision: string;
    readonly family: string;
    readonly precision: string;
    readonly bytes: number;
  };
  readonly limits: Limits;
  readonly loadSeconds: number;
  readonly stages: readonly StageRow[];
  readonly captions: readonly CaptionRow[];
  readonly node: NodeFacts;
  readonly load: LoadReport;
  readonly soak?: SoakReport;
  readonly peer?: readonly PeerRow[];
}

/** As JSON is written everywhere else: names in snake_case, what is not a number null. */
export function inJson(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inJson);
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).map(([name, each]) => [snake(name), inJson(each)]);
    return Object.fromEntries(entries) as unknown;
  }
  if (typeof value === "number")
    return Number.isFinite(value) ? Number(value.toPrecision(6)) : null;
  return value;
}

const snake = (name: string): string =>
  name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
