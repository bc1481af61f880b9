// Texts of unequal length run together: padded on the right, in batches that are bounded in rows and in
// positions, so that memory does not grow with what a request holds.
import { type IntTensor, idTensor } from "../tensor/tensor.ts";

export interface TextBatch {
  /** i64 [rows, tokens] */
  readonly inputIds: IntTensor;
  /** i64 [rows, tokens]: 1 for a token, 0 for a pad. */
  readonly attentionMask: IntTensor;
  /** Tokens of each row. */
  readonly lengths: readonly number[];
}

export interface BatchLimits {
  /** Any id of the vocabulary: it is masked. */
  readonly pad: number;
  /** Positions that every row has besides its tokens. */
  readonly extra: number;
  readonly maxRows?: number;
  readonly maxPositions?: number;
}

/** Keys, values and scores of so many rows and positions are held at a time. */
const defaultMaxRows = 16;
const defaultMaxPositions = 4096;

/** Rows in batches, the short ones together so that little is padded. */
function cut(ids: readonly (readonly number[])[], limits: BatchLimits): number[][] {
  const { extra, maxRows = defaultMaxRows, maxPositions = defaultMaxPositions } = limits;
  const lengthOf = (row: number): number => ids[row]?.length ?? 0;
  const batches: number[][] = [];
  let batch: number[] = [];
  for (const row of ids.map((_, at) => at).toSorted((a, b) => lengthOf(a) - lengthOf(b))) {
    const positions = (batch.length + 1) * (extra + lengthOf(row)); // the newest is the longest
    if (batch.length > 0 && (batch.length >= maxRows || positions > maxPositions)) {
      batches.push(batch);
      batch = [];
    }
    batch.push(row);
  }
  return batch.length === 0 ? batches : [...batches, batch];
}

function pack(rows: readonly (readonly number[])[], pad: number): TextBatch {
  const lengths = rows.map((row) => row.length);
  const places = Array.from({ length: Math.max(...lengths) }, (_, at) => at);
  return {
    inputIds: idTensor(rows.map((row) => places.map((at) => row[at] ?? pad))),
    attentionMask: idTensor(rows.map((row) => places.map((at) => (at < row.length ? 1 : 0)))),
    lengths,
  };
}

/**
 * What `run` gives for each text, in the order of `ids`; it gives one result per row of its batch. Errors:
 * the signal's reason between two batches.
 */
export async function inBatches<T>(
  ids: readonly (readonly number[])[],
  limits: BatchLimits,
  run: (batch: TextBatch) => Promise<readonly T[]>,
  signal?: AbortSignal,
): Promise<readonly T[]> {
  const results = new Map<number, T>();
  for (const rows of cut(ids, limits)) {
    signal?.throwIfAborted();
    const made = await run(
      pack(
        rows.map((row) => ids[row] ?? []),
        limits.pad,
      ),
    );
    rows.forEach((row, at) => results.set(row, made[at] as T));
  }
  return [...results].sort(([a], [b]) => a - b).map(([, result]) => result);
}
