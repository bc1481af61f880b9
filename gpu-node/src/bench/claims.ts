// What a node must show, each line held against what one run measured. A line that was not measured holds neither
// way.
import type { BenchReport, PeerRow } from "./report.ts";

export interface Claim {
  readonly what: string;
  /** Null: not measured in this run. */
  readonly measured: number | null;
  readonly bound: { readonly atLeast: number } | { readonly atMost: number };
  readonly unit: "times" | "share" | "ms" | "s" | "bytes" | "count";
  /** Null as `measured` is. */
  readonly holds: boolean | null;
}

type Draft = Omit<Claim, "holds">;

const judge = (draft: Draft): Claim => {
  const { measured, bound } = draft;
  if (measured === null || Number.isNaN(measured)) return { ...draft, measured: null, holds: null };
  const holds = "atLeast" in bound ? measured >= bound.atLeast : measured <= bound.atMost;
  return { ...draft, holds };
};

/** Share of what the kernels allow that every stage must reach. */
const leastEfficiency = 0.7;
/** RSS of door and engine: so many times the artifact and so much beside it. */
const memoryFactor = 1.25;
const memoryBytes = 600e6;

export function claimsOf(report: BenchReport): readonly Claim[] {
  const { stages, load, node, artifact, soak } = report;
  const float = artifact.precision === "fp32";
  const drafts: readonly Draft[] = [
    ...peerClaims(report),
    ...stages
      .filter(({ stage }) => stage !== "qformer")
      .map(({ stage, batch, efficiency }): Draft => ({
        what: `${stage}, ${batch} at a time, of what the kernels allow`,
        measured: efficiency,
        bound: { atLeast: leastEfficiency },
        unit: "share",
      })),
    {
      what: `decoding ${load.together.requests} captions at once against one after another`,
      measured: load.together.decodeRatio,
      bound: { atLeast: float ? 3 : 1.7 },
      unit: "times",
    },
    {
      what: `${load.together.requests} captions at once, of what the batch rates predict`,
      measured: load.together.ofPrediction,
      bound: { atLeast: 0.9 },
      unit: "share",
    },
    {
      what: "wait of a short request among long ones (one decode run or vision batch)",
      measured: load.shortAmongLong.waitedMs,
      bound: { atMost: load.shortAmongLong.boundMs },
      unit: "ms",
    },
    {
      what: "vision passes of second questions",
      measured: load.secondQuestion.visionPasses,
      bound: { atMost: 0 },
      unit: "count",
    },
    {
      what: "first token of a second question against the first question's",
      measured: load.secondQuestion.ratio,
      bound: { atMost: 0.5 },
      unit: "share",
    },
    {
      what: "event-loop lag of the saturated door, p99",
      measured: load.eventLoopLagMs.p99Ms,
      bound: { atMost: 20 },
      unit: "ms",
    },
    {
      what: "health answers of the saturated door, p99",
      measured: load.healthMs.p99,
      bound: { atMost: 50 },
      unit: "ms",
    },
    {
      what: "RSS of door and engine together",
      measured: node.peakBytes,
      bound: { atMost: memoryFactor * artifact.bytes + memoryBytes },
      unit: "bytes",
    },
    {
      what: "ready from a warm page cache",
      measured: node.readySeconds,
      bound: { atMost: 15 },
      unit: "s",
    },
    {
      what: "growth of RSS in the soak",
      measured: soak?.growth ?? null,
      bound: { atMost: 0.02 },
      unit: "share",
    },
  ];
  return drafts.map(judge);
}

function peerClaims({ peer, captions, artifact }: BenchReport): Draft[] {
  const peerSeconds = (images: number, dtype?: string): number | null => {
    const rows = (peer ?? []).filter(
      (row: PeerRow) => row.images === images && (dtype === undefined || row.dtype === dtype),
    );
    return rows.length === 0 ? null : Math.min(...rows.map((row) => row.captionSeconds));
  };
  const faster = (images: number, dtype?: string): number | null => {
    const theirs = peerSeconds(images, dtype);
    const ours = captions.find((row) => row.images === images);
    return theirs === null || ours === undefined ? null : theirs / ours.seconds;
  };
  const eight = { what: "eight images at once against transformers, images per minute" } as const;
  const many: Draft = {
    ...eight,
    measured: faster(8),
    bound: { atLeast: 1.4 },
    unit: "times",
  };
  if (artifact.precision === "fp32") {
    const what = "one caption against transformers, float32 on both sides";
    return [
      { what, measured: faster(1, "float32"), bound: { atLeast: 0.95 }, unit: "times" },
      many,
    ];
  }
  return [
    {
      what: "one caption against transformers at its better type",
      measured: faster(1),
      bound: { atLeast: allowsThree(peerSeconds(1), captions) ? 3 : 2 },
      unit: "times",
    },
    many,
  ];
}

/** Whether stages that are as near to their limits as they must be would make it three times as fast. */
function allowsThree(theirs: number | null, captions: BenchReport["captions"]): boolean {
  const ours = captions.find(({ images }) => images === 1);
  if (theirs === null || ours === undefined) return false;
  return theirs / (ours.allowedSeconds / leastEfficiency) >= 3;
}
