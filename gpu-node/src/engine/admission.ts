// Who is let in. A pure function of what was let in before, of the newcomer and of the bounds, counted in
// estimated milliseconds of work rather than in requests. Interactive goes before bulk, nobody is refused by
// a node that is empty, and whoever is refused is told when it would be let in if nobody else came.
import type { Priority } from "./messages.ts";

/** A job that was let in and is not done. */
export interface AdmittedJob {
  /** Undefined for work that belongs to no image. */
  readonly partition: string | undefined;
  readonly priority: Priority;
  /** Work that is left of it. */
  readonly remainingMs: number;
  /** False while it waits in the door, where it can still be put out. */
  readonly started: boolean;
}

export interface Newcomer {
  readonly partition: string | undefined;
  readonly priority: Priority;
  readonly workMs: number;
  /** From its start to its answer if nothing else were there. */
  readonly aloneMs: number;
  readonly deadlineMs: number;
}

export interface AdmissionBounds {
  /** Work that may be there. One job alone may be larger. */
  readonly maxQueueMs: number;
  readonly maxJobs: number;
}

export type Refusal =
  /** The bound of work or of jobs is reached. */
  | "full"
  /** It would be done after its deadline. */
  | "late"
  /** Its partition holds more than its share while others wait. */
  | "share";

export type Verdict =
  /** `shed`: positions of the jobs that are put out for it, the newest first. */
  | { readonly admitted: true; readonly shed: readonly number[] }
  | { readonly admitted: false; readonly why: Refusal; readonly waitMs: number };

/** The part of each bound that bulk work may use, so that there is always room for somebody who waits. */
const bulkShare = 0.5;
/** From this part of the bound on, shares are looked at: below it there is room for everybody. */
const crowdedShare = 0.5;

const longest = (waits: readonly (readonly [Refusal, number])[]): readonly [Refusal, number] =>
  waits.reduce((worst, each) => (each[1] > worst[1] ? each : worst));

const sum = (jobs: readonly AdmittedJob[]): number =>
  jobs.reduce((total, { remainingMs }) => total + remainingMs, 0);

/** `jobs` in the order in which they were let in. */
export function admit(
  jobs: readonly AdmittedJob[],
  newcomer: Newcomer,
  bounds: AdmissionBounds,
): Verdict {
  if (jobs.length === 0) return { admitted: true, shed: [] };
  const isBulk = newcomer.priority === "bulk";
  // What the newcomer cannot pass: everything, or for an interactive one all but bulk that waits.
  const ahead = isBulk
    ? jobs
    : jobs.filter(({ priority, started }) => started || priority !== "bulk");
  const waits = (there: readonly AdmittedJob[]): readonly (readonly [Refusal, number])[] => [
    ["full", fullMs(there, newcomer, boundsOf(newcomer, bounds))],
    ["late", lateMs(there, newcomer)],
    ["share", overShareMs(jobs, newcomer, bounds)],
  ];
  if (longest(waits(ahead))[1] > 0) {
    // Bulk that waits now may have been started by then, so it counts in what is told.
    const [why, waitMs] = longest(waits(jobs));
    return { admitted: false, why, waitMs };
  }
  return { admitted: true, shed: isBulk ? [] : shedFor(jobs, newcomer, bounds) };
}

const boundsOf = ({ priority }: Newcomer, { maxQueueMs, maxJobs }: AdmissionBounds) =>
  priority === "bulk"
    ? { maxQueueMs: maxQueueMs * bulkShare, maxJobs: Math.max(1, Math.floor(maxJobs * bulkShare)) }
    : { maxQueueMs, maxJobs };

/** Milliseconds until there is room. Nothing left is room for anything; work of no estimate still takes a turn. */
function fullMs(
  ahead: readonly AdmittedJob[],
  { workMs }: Newcomer,
  { maxQueueMs, maxJobs }: AdmissionBounds,
): number {
  if (ahead.length === 0) return 0;
  const aheadMs = sum(ahead);
  // In which order the engine ends what it has is its own affair: a place is sure when all are done.
  if (ahead.length >= maxJobs) return Math.max(1, aheadMs);
  return Math.max(0, Math.min(aheadMs, aheadMs + workMs - maxQueueMs));
}

/** Milliseconds until it could be done in the time it has; one that never could is let in when nothing is ahead. */
const lateMs = (ahead: readonly AdmittedJob[], { deadlineMs, aloneMs }: Newcomer): number =>
  Math.max(0, sum(ahead) - Math.max(0, deadlineMs - aloneMs));

function overShareMs(
  jobs: readonly AdmittedJob[],
  { partition, workMs }: Newcomer,
  { maxQueueMs }: AdmissionBounds,
): number {
  if (partition === undefined) return 0;
  const others = new Set(jobs.map((job) => job.partition));
  const isThere = others.delete(partition);
  others.delete(undefined);
  if (!isThere || others.size === 0) return 0;
  const ownMs = sum(jobs.filter((job) => job.partition === partition));
  if (ownMs + workMs <= maxQueueMs / (others.size + 1)) return 0;
  const allMs = sum(jobs);
  return Math.max(0, Math.min(allMs, allMs + workMs - maxQueueMs * crowdedShare));
}

/** The newest of the waiting bulk jobs, as many as must go so that the bounds hold. */
function shedFor(
  jobs: readonly AdmittedJob[],
  { workMs }: Newcomer,
  { maxQueueMs, maxJobs }: AdmissionBounds,
): number[] {
  const shed: number[] = [];
  let leftMs = sum(jobs);
  for (let at = jobs.length - 1; at >= 0; at -= 1) {
    const left = jobs.length - shed.length;
    if (left === 0 || (leftMs + workMs <= maxQueueMs && left < maxJobs)) break;
    const job = jobs[at];
    if (job === undefined || job.started || job.priority !== "bulk") continue;
    shed.push(at);
    leftMs -= job.remainingMs;
  }
  return shed;
}
