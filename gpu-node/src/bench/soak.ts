// A node under load for minutes: whether its memory stays where it was once everything had run.
import { setTimeout as sleep } from "node:timers/promises";
import { largestRequest, type Lengths, soakRequest } from "./load-mix.ts";
import type { NodeClient } from "./node-client.ts";
import { median } from "./percentiles.ts";
import { sumMemory } from "./process-memory.ts";

export interface SoakSettings {
  readonly minutes: number;
  readonly concurrency: number;
  readonly lengths: Lengths;
  readonly pids: readonly number[];
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

export interface SoakPoint {
  readonly seconds: number;
  /** Door and engine together. */
  readonly residentBytes: number;
}

export interface SoakReport {
  readonly minutes: number;
  readonly requests: number;
  readonly refusals: number;
  /** What counts as the beginning. */
  readonly settledAfterSeconds: number;
  /** Share by which the end is above the settled beginning; null where memory is not known. */
  readonly growth: number | null;
  readonly curve: readonly SoakPoint[];
}

const settledAfterMs = 120_000;
const samples = 240;
const leastSampleMs = 250;

/** Growth from the first tenth after `settledSeconds` to the last tenth, each by its median; null without points. */
export function growthOf(curve: readonly SoakPoint[], settledSeconds: number): number | null {
  const settled = curve.filter(({ seconds }) => seconds >= settledSeconds);
  const tenth = Math.max(1, Math.floor(settled.length / 10));
  const middle = (points: readonly SoakPoint[]): number =>
    median(points.map(({ residentBytes }) => residentBytes));
  const growth = middle(settled.slice(-tenth)) / middle(settled.slice(0, tenth)) - 1;
  return Number.isFinite(growth) ? growth : null;
}

/** Errors: those of a call that the node refuses, the signal's reason. */
export async function soak(
  client: Pick<NodeClient, "infer">,
  settings: SoakSettings,
): Promise<SoakReport> {
  const { minutes, concurrency, lengths, pids, signal, say } = settings;
  const lastsMs = minutes * 60_000;
  const startedAt = performance.now();
  const passedMs = (): number => performance.now() - startedAt;
  let [requests, refusals] = [0, 0];
  const ask = async (): Promise<void> => {
    while (passedMs() < lastsMs) {
      signal.throwIfAborted();
      const index = requests++;
      // The largest batch comes first: what grows later is no batch that had not been there yet.
      const request = index < concurrency ? largestRequest : soakRequest;
      refusals += (await client.infer(request(index, lengths))).refusals;
    }
  };
  const curve: SoakPoint[] = [];
  const failed = new AbortController();
  const watch = async (): Promise<void> => {
    const either = AbortSignal.any([signal, failed.signal]);
    const everyMs = Math.max(leastSampleMs, lastsMs / samples);
    let toldMinutes = 0;
    while (passedMs() < lastsMs && !either.aborted) {
      const memory = await sumMemory(pids);
      const seconds = passedMs() / 1000;
      if (memory !== undefined) curve.push({ seconds, residentBytes: memory.residentBytes });
      if (Math.floor(seconds / 60) > toldMinutes) {
        toldMinutes = Math.floor(seconds / 60);
        say(`${toldMinutes} of ${minutes} minutes, ${requests} requests`);
      }
      await sleep(everyMs, undefined, { signal: either }).catch(() => {});
    }
  };
  const watching = watch();
  try {
    await Promise.all(Array.from({ length: concurrency }, ask));
  } finally {
    failed.abort();
    await watching;
  }
  // A soak that is only tried out has a beginning too.
  const settledAfterSeconds = Math.min(settledAfterMs, lastsMs / 5) / 1000;
  return {
    minutes,
    requests,
    refusals,
    settledAfterSeconds,
    growth: growthOf(curve, settledAfterSeconds),
    curve,
  };
}
