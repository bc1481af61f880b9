// Writes a namespace's outbox to Vectorize: sends what waits in the largest batches it takes, and hears what is processed.
// A failure ends the round; what was asked stays marked and is asked again, later each time. Upserts of the same vector
// and deletions of a vector that is gone change nothing, so asking twice is harmless.
import { describeError, type LogEvent } from "../log.ts";
import { unlessAborted } from "../unless-aborted.ts";
import type { OutboxTables } from "./outbox-sql.ts";
import { partitionOf, vectorId, vectorizeLimits, type VectorIndex } from "./vectorize.ts";

export interface OutboxOptions {
  readonly tables: OutboxTables;
  readonly vectors: VectorIndex;
  readonly place: () => string;
  /** Numbers of a vector of this namespace; undefined while it is empty. */
  readonly dim: () => number | undefined;
  readonly hasWork: () => boolean;
  readonly now: () => number;
  /** For one call. */
  readonly deadline: () => AbortSignal;
  readonly tell: (event: LogEvent) => void;
}

export interface Outbox {
  /** One round; in how many milliseconds another is worth it, undefined: nothing is left to do. Never throws. */
  pump(): Promise<number | undefined>;
  /** How long it rests after a failure, whatever else there is to write. */
  restMs(): number;
  /** Why it does not go on, for whoever owns the namespace. */
  readonly fault: string | null;
}

/** Of each kind in one round, so that a round ends. */
const callsInRound = 20;
/** A write is seen within seconds, or within minutes when many are made. */
const [pollMs, maxPollMs] = [1_000, 30_000];
const [backoffMs, maxBackoffMs] = [1_000, 300_000];
/** After which a mutation that nothing is heard of is sent again. */
const resendMs = 3_600_000;

export function outbox(options: OutboxOptions): Outbox {
  const { tables, vectors, place, dim, hasWork, now, deadline, tell } = options;
  let fault: string | null = null;
  let [failures, quietRounds, restsUntil] = [0, 0, 0];
  let running: Promise<number | undefined> | undefined;
  const call = <Result>(ask: () => Promise<Result>): Promise<Result> =>
    unlessAborted(ask(), deadline());

  /** True: something was processed. */
  async function confirm(lastProcessed: string): Promise<boolean> {
    const byOrder = tables.processedUpTo(lastProcessed);
    // The last one may be another namespace's, so each of ours is looked at too.
    const awaited = tables.awaited(vectorizeLimits.getByIds);
    if (awaited.length === 0) return byOrder;
    const idOf = (witness: number): string => vectorId(place(), witness);
    const found = await call(() => vectors.getByIds(awaited.map(({ witness }) => idOf(witness))));
    const there = new Set(found.map(({ id }) => id));
    const done = awaited.filter(({ witness, deletes }) => there.has(idOf(witness)) !== deletes);
    for (const { n } of done) tables.processed(n);
    return byOrder || done.length > 0;
  }

  /** Calls that were made; as many as one round may: there is more. */
  async function sendDeletions(): Promise<number> {
    for (let calls = 0; calls < callsInRound; calls++) {
      const seqs = tables.takeLeaving(vectorizeLimits.deleteByIds);
      if (seqs.length === 0) return calls;
      const ids = seqs.map((seq) => vectorId(place(), seq));
      const { mutationId } = await call(() => vectors.deleteByIds(ids));
      tables.answered(seqs, mutationId, now());
    }
    return callsInRound;
  }
  async function sendVectors(): Promise<number> {
    for (let calls = 0; calls < callsInRound; calls++) {
      const unsent = tables.takeUnsent(vectorizeLimits.upsert);
      if (unsent.length === 0) return calls;
      const batch = unsent.map(({ seq, values }) => ({
        id: vectorId(place(), seq),
        namespace: partitionOf(place(), seq),
        values,
      }));
      const { mutationId } = await call(() => vectors.upsert(batch));
      tables.answered(
        unsent.map(({ seq }) => seq),
        mutationId,
        now(),
      );
    }
    return callsInRound;
  }

  async function round(): Promise<number | undefined> {
    tables.recover(now() - resendMs);
    const { dimensions, processedUpToMutation } = await call(() => vectors.describe());
    const isConfirmed = await confirm(String(processedUpToMutation));
    const deletions = await sendDeletions();
    const own = dim();
    if (own !== undefined && own !== dimensions) {
      fault = wrongDimensions(dimensions, own);
      restsUntil = now() + maxBackoffMs;
      return maxBackoffMs;
    }
    const upserts = await sendVectors();
    [fault, failures] = [null, 0];
    quietRounds = isConfirmed || deletions + upserts > 0 ? 0 : quietRounds + 1;
    if (!hasWork()) return undefined;
    if (Math.max(deletions, upserts) === callsInRound) return 0;
    return Math.min(maxPollMs, pollMs * 2 ** quietRounds);
  }

  async function guarded(): Promise<number | undefined> {
    if (!hasWork()) {
      [fault, failures] = [null, 0];
      return undefined;
    }
    try {
      return await round();
    } catch (error) {
      const againMs = Math.min(maxBackoffMs, backoffMs * 2 ** failures);
      failures += 1;
      restsUntil = now() + againMs;
      fault =
        "Vectorize refused a call or did not answer. What is to be written is kept and sent again.";
      tell({ event: "vectorize_failed", cause: describeError(error), again_in_ms: againMs });
      return againMs;
    }
  }

  return {
    restMs: () => Math.max(0, restsUntil - now()),
    get fault() {
      return fault;
    },
    pump() {
      running ??= guarded().finally(() => {
        running = undefined;
      });
      return running;
    },
  };
}

const wrongDimensions = (dimensions: number, own: number): string =>
  `The Vectorize index takes vectors of ${dimensions} numbers, and those of this namespace have ${own}. They are not sent; searches compare them here.`;
