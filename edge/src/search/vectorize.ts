// What the index asks of a Vectorize index (V2) through its binding, within the limits that Cloudflare documents or
// enforces, and the names by which one index serves many namespaces. Writes are asynchronous there: they answer with
// the id of a mutation that is processed some time later, in their order.

import { unlessAborted } from "../unless-aborted.ts";

export interface VectorIndex {
  query(
    vector: readonly number[],
    options: {
      readonly topK: number;
      readonly namespace: string;
      readonly returnValues: boolean;
      readonly returnMetadata: "none" | "indexed" | "all";
    },
  ): Promise<{ readonly matches: readonly { readonly id: string }[] }>;
  upsert(vectors: readonly OutsideVector[]): Promise<Mutation>;
  deleteByIds(ids: readonly string[]): Promise<Mutation>;
  getByIds(ids: readonly string[]): Promise<readonly { readonly id: string }[]>;
  describe(): Promise<{
    readonly dimensions: number;
    /** The last mutation that is processed; all before it are. The binding's types call it a number, it is a UUID. */
    readonly processedUpToMutation?: string | number | null;
  }>;
}

export interface OutsideVector {
  readonly id: string;
  readonly namespace: string;
  readonly values: readonly number[];
}
interface Mutation {
  readonly mutationId: string;
}

/**
 * developers.cloudflare.com/vectorize/platform/limits as of 2026-11. What a call may name of ids is not on that page:
 * the service answers with code 40007 and the number.
 */
export const vectorizeLimits = {
  /** With values or metadata it is less. */
  topK: 100,
  upsert: 1000,
  deleteByIds: 100,
  getByIds: 20,
} as const;

/**
 * A namespace's vectors lie in so many namespaces of the index, asked at once, since each gives 100 at most and a search
 * wants 200: of the nearest 200 about 50 lie in each. Another number is another place for every vector.
 */
const partitions = 4;

/** `place`: 32 characters that one namespace of one tenant has and no other. */
const partitionName = (place: string, partition: number): string => `${place}-${partition}`;
export const partitionOf = (place: string, seq: number): string =>
  partitionName(place, seq % partitions);
/** Ids are unique in the whole index, so the place is a part of them; 64 bytes are allowed. */
export const vectorId = (place: string, seq: number): string => `${place}-${seq}`;

/** Undefined: not of this place. */
function seqOf(place: string, id: string): number | undefined {
  if (!id.startsWith(`${place}-`)) return undefined;
  const seq = Number(id.slice(place.length + 1));
  return Number.isSafeInteger(seq) && seq > 0 ? seq : undefined;
}

/** Numbers of the vectors of a place that lie nearest to any of the queries: up to 400 for each, in no order. */
export async function nearestIn(
  index: VectorIndex,
  place: string,
  queries: readonly Float32Array[],
  signal: AbortSignal,
): Promise<number[]> {
  const ask = (query: Float32Array, partition: number) =>
    index.query(Array.from(query), {
      topK: vectorizeLimits.topK,
      namespace: partitionName(place, partition),
      returnValues: false,
      returnMetadata: "none",
    });
  const answers = await Promise.all(
    queries.flatMap((query) =>
      Array.from({ length: partitions }, (_, partition) =>
        unlessAborted(ask(query, partition), signal),
      ),
    ),
  );
  const seqs = answers.flatMap(({ matches }) =>
    matches.flatMap(({ id }) => seqOf(place, id) ?? []),
  );
  return [...new Set(seqs)];
}
