// The index of a namespace whose candidates lie in one of two stores. Embedded: the averaged vectors are scanned in memory.
// Vectorize: it names the nearest few hundred, and what it may not know yet is compared here as well; the scores are made
// here in both. Records, words and query vectors stay in the SQLite, and a hit counts only while its picture is there.
import { describeError, type LogEvent } from "../log.ts";
import { unlessAborted } from "../unless-aborted.ts";
import type { CandidatesInfo, MovableIndex, RankOutcome, RankRequest } from "./image-index.ts";
import { outbox } from "./outbox.ts";
import { outboxTables } from "./outbox-sql.ts";
import { createOutsideTables, outsideTables } from "./outside-sql.ts";
import { averaged } from "./quantise.ts";
import { sqlIndex, type SqlIndexOptions } from "./sql-index.ts";
import { nearestIn, type VectorIndex } from "./vectorize.ts";

export interface CandidateLimits {
  /** Records of a namespace whose averages are in memory. */
  readonly embedded: number;
  /** With Vectorize: what the object's storage holds with room for texts. */
  readonly outside: number;
  /** Pictures that are compared one by one out of the tables: those that wait, those that a filter leaves. */
  readonly scanned: number;
  /** Searches move to Vectorize when no more than so many wait. */
  readonly fewWaiting: number;
}

export const candidateLimits: CandidateLimits = {
  embedded: 200_000,
  outside: 500_000,
  scanned: 50_000,
  fewWaiting: 1_000,
};

export interface CandidateIndexOptions extends Pick<SqlIndexOptions, "sql" | "atomically"> {
  /** Undefined: no Vectorize is bound, and everything is embedded. */
  readonly vectors: VectorIndex | undefined;
  /** `pump` is to be called within so many milliseconds; called in the turn that wrote what there is to do. */
  readonly wake: (inMs: number) => void;
  /** 32 characters that nothing else has. */
  readonly drawPlace: () => string;
  readonly now: () => number;
  readonly tell: (event: LogEvent) => void;
  /** For one call to Vectorize. */
  readonly deadline?: () => AbortSignal;
  readonly limits?: CandidateLimits;
}

export interface CandidateIndex extends MovableIndex {
  /** One round of writing to Vectorize; in how many milliseconds another is worth it. Never throws. */
  pump(): Promise<number | undefined>;
}

/** Writes are collected for so long: Vectorize takes few large ones sooner than many small ones. */
const collectMs = 500;
/** A Vectorize that failed is not asked again for so long, where the exact scan can do without it. */
const restMs = 30_000;
const callMs = 10_000;

export function candidateIndex(options: CandidateIndexOptions): CandidateIndex {
  const { sql, atomically, vectors, wake, drawPlace, now, tell } = options;
  const { deadline = () => AbortSignal.timeout(callMs), limits = candidateLimits } = options;
  createOutsideTables(sql);
  const outside = outsideTables(sql);
  const { added, dropped } = outside;
  const maxRecords = (): number =>
    outside.state().store === "vectorize" ? limits.outside : limits.embedded;
  const index = sqlIndex({
    sql,
    atomically,
    maxRecords: 0,
    outside: { added, dropped, maxRecords },
  });
  const writer =
    vectors === undefined
      ? undefined
      : outbox({
          ...{ tables: outboxTables(sql), vectors, hasWork: outside.hasWork, now, deadline, tell },
          place: () => outside.state().place,
          dim: () => (outside.state().target === "vectorize" ? index.madeBy()?.dim : undefined),
        });
  let restsUntil = 0;

  const wakeIfNeeded = (): void => {
    if (writer !== undefined && outside.hasWork()) wake(Math.max(collectMs, writer.restMs()));
  };
  // Whoever was here before may have ended between a change and its alarm.
  wakeIfNeeded();
  /** After a change, in its turn. */
  const thenWake = <Result>(result: Result): Result => {
    wakeIfNeeded();
    return result;
  };
  function follow(): void {
    if (writer !== undefined && outside.follow(limits.fewWaiting)) index.dropMeans();
  }
  const failed = (error: unknown): void =>
    tell({ event: "vectorize_failed", cause: describeError(error) });

  function info(): CandidatesInfo {
    const { store, target } = outside.state();
    const isCutOff = writer === undefined && target === "vectorize";
    return {
      ...{ store, target, waiting: outside.waitingCount(), leaving: outside.leavingCount() },
      fault: isCutOff ? "No Vectorize index is bound to the Worker." : (writer?.fault ?? null),
    };
  }

  const canScanAll = (): boolean => index.describe().pictures <= limits.embedded;
  const withoutVectorize = (request: RankRequest): RankOutcome =>
    canScanAll() ? index.rank(request) : { kind: "unavailable" };

  async function rankOutside(request: RankRequest, dim: number): Promise<RankOutcome> {
    const { text, image } = request;
    const queries = [
      ...(text === undefined ? [] : [text]),
      ...(image === undefined ? [] : [averaged(image, dim)]),
    ];
    // A picture may be confirmed while Vectorize answers a question that it was asked before.
    const waited = outside.waiting();
    let found: readonly number[] = [];
    if (queries.length > 0) {
      if (vectors === undefined || now() < restsUntil) return withoutVectorize(request);
      try {
        found = await nearestIn(vectors, outside.state().place, queries, deadline());
        // It may be another index than the one that was written to.
        if (found.length === 0 && outside.isAnyThere()) throw new Error("it has lost its vectors");
      } catch (error) {
        failed(error);
        restsUntil = now() + restMs;
        return withoutVectorize(request);
      }
      index.dropMeans();
    }
    // From here on nothing waits: the tables are as they are now, and only what is in them counts.
    if (outside.state().store === "embedded") return index.rank(request);
    const { pictures, strays } = outside.picturesOf(found);
    if (strays.length > 0) {
      outside.retract(strays);
      wakeIfNeeded();
    }
    // Vectors that are still to be deleted there may stand before what is looked for.
    const isCrowded = pictures.length + strays.length < found.length;
    if (isCrowded && pictures.length < request.candidates && canScanAll()) {
      return index.rank(request);
    }
    return index.rank(request, (more) =>
      index.meansOf([...pictures, ...waited, ...outside.waiting(), ...more]),
    );
  }

  return {
    async describe() {
      return index.describe();
    },
    async configure(settings) {
      index.configure(settings);
    },
    async put(request) {
      const isOutside = outside.state().store === "vectorize";
      if (isOutside && outside.waitingCount() >= limits.scanned) {
        return { kind: "behind", holds: index.holds(request.record) };
      }
      return thenWake(index.put(request));
    },
    async read(ids) {
      return index.read(ids);
    },
    async list(after, limit) {
      return index.list(after, limit);
    },
    async newest(limit) {
      return index.newest(limit);
    },
    async update(id, changes, at) {
      return index.update(id, changes, at);
    },
    async remove(id) {
      return thenWake(index.remove(id));
    },
    async clear(most) {
      const cleared = index.clear(most);
      // A namespace that was deleted begins anew.
      if (cleared.left === 0) atomically(() => outside.move("embedded", drawPlace));
      return thenWake(cleared);
    },
    async rank(request) {
      const by = index.madeBy();
      if (by === undefined || outside.state().store === "embedded") return index.rank(request);
      const refusal = index.refusal(request);
      if (refusal !== undefined) return refusal;
      // What a filter leaves is compared whole where that is not too much, so that no hit is lost to it.
      const left = index.filtered(request, limits.scanned + 1);
      if (left !== undefined && left.length <= limits.scanned) {
        return index.rank(request, (more) => index.meansOf([...left, ...more]));
      }
      return rankOutside(request, by.dim);
    },

    async candidates() {
      return info();
    },
    async moveCandidates(to) {
      if (to === outside.state().target) return { kind: "moving", info: info() };
      if (to === "vectorize") {
        if (vectors === undefined) return { kind: "not_bound" };
        try {
          const { dimensions } = await unlessAborted(vectors.describe(), deadline());
          const dim = index.madeBy()?.dim ?? dimensions;
          if (dim !== dimensions) return { kind: "other_dimensions", dimensions, dim };
        } catch (error) {
          failed(error);
          return { kind: "unavailable" };
        }
      } else if (index.describe().records > limits.embedded) {
        return { kind: "too_many", most: limits.embedded };
      }
      atomically(() => outside.move(to, drawPlace));
      follow();
      wakeIfNeeded();
      return { kind: "moving", info: info() };
    },

    async pump() {
      const againMs = await writer?.pump();
      follow();
      return againMs;
    },
  };
}
