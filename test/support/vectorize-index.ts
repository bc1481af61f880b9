// An index over SQLite in memory whose candidates are in a stand-in for Vectorize, with the clock and the alarm in the
// test's hands.
import {
  candidateIndex,
  candidateLimits,
  type CandidateIndex,
  type CandidateLimits,
} from "../../edge/src/search/candidate-index.ts";
import type { LogEvent } from "../../edge/src/log.ts";
import { memoryIndex, type MemoryIndex } from "./memory-index.ts";
import { vectorizeStandIn, type VectorizeStandIn } from "./vectorize-stand-in.ts";

export interface VectorizeIndex {
  readonly index: CandidateIndex;
  readonly memory: MemoryIndex;
  readonly standIn: VectorizeStandIn;
  readonly events: readonly LogEvent[];
  /** Milliseconds of each call for the alarm. */
  readonly wakes: readonly number[];
  /** Lets the calls to Vectorize that run now and from now on be too late. */
  tooLate(): void;
  /** Lets so much time pass. */
  pass(ms: number): void;
  /** Writes, processes and confirms until nothing is left to do. */
  settle(): Promise<void>;
}

let places = 0;

export function vectorizeIndex({
  memory = memoryIndex(),
  standIn = vectorizeStandIn(16),
  limits = {},
  bound = true,
}: {
  readonly memory?: MemoryIndex;
  readonly standIn?: VectorizeStandIn;
  readonly limits?: Partial<CandidateLimits>;
  /** Whether Vectorize is bound; default true. */
  readonly bound?: boolean;
} = {}): VectorizeIndex {
  const events: LogEvent[] = [];
  const wakes: number[] = [];
  const late = new AbortController();
  let now = 1_000_000;
  const index = candidateIndex({
    sql: memory.sql,
    atomically: memory.atomically,
    vectors: bound ? standIn : undefined,
    wake: (inMs) => void wakes.push(inMs),
    drawPlace: () => String(++places).padStart(32, "f"),
    now: () => now,
    tell: (event) => void events.push(event),
    deadline: () => late.signal,
    limits: { ...candidateLimits, ...limits },
  });
  return {
    ...{ index, memory, standIn, events, wakes },
    tooLate: () => late.abort(new Error("too late")),
    pass(ms) {
      now += ms;
    },
    async settle() {
      for (let round = 0; (await index.pump()) !== undefined; round++) {
        standIn.process();
        if (round > 200) throw new Error("there is always something left to do");
      }
    },
  };
}
