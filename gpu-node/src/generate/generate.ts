// Several requests from their prompts to their ends, as one batch that nobody else joins: what the command
// line does, and what the engine does with many at their own times (running-batch.ts).
import type { Decoder } from "./decoder.ts";
import {
  createRunningBatch,
  type GeneratedRow,
  type GenerationRow,
  prepareRow,
} from "./running-batch.ts";

export interface GenerateOptions {
  readonly endIds: readonly number[];
  /** Looked at between runs; a run is not interrupted. */
  readonly signal?: AbortSignal;
  /** Seeds what has none of its own: an unsigned 32-bit number. */
  readonly entropy?: () => number;
  /** Steps of one run at most. */
  readonly runSteps?: number;
  /** Milliseconds, monotonic. */
  readonly now?: () => number;
}

export interface Generated {
  /** In the order of the rows. */
  readonly rows: readonly GeneratedRow[];
  readonly prefillMs: number;
  readonly decodeMs: number;
}

const defaultRunSteps = 16;

/**
 * Generates for all rows. Errors: `prompt_too_long` and `invalid_request` before anything runs;
 * `invalid_request` when settings ban every token; the signal's reason.
 */
export async function generate(
  decoder: Decoder,
  rows: readonly GenerationRow[],
  options: GenerateOptions,
): Promise<Generated> {
  const { signal, runSteps = defaultRunSteps, now = () => performance.now() } = options;
  const entries = rows.map((row, key) => ({ key, prepared: prepareRow(decoder, row) }));
  signal?.throwIfAborted();
  const batch = createRunningBatch<number>(decoder, options);
  const done = new Map<number, GeneratedRow>();
  const startedAt = now();
  let standing = await batch.join(entries);
  const prefilledAt = now();
  for (;;) {
    for (const each of standing) {
      if (each.error !== undefined) throw each.error;
      if (each.done !== undefined) done.set(each.key, each.done);
    }
    if (batch.rows === 0) break;
    signal?.throwIfAborted();
    standing = await batch.run(runSteps);
  }
  return {
    rows: entries.map(({ key }) => {
      const row = done.get(key);
      if (row === undefined) throw new Error("a request left the batch without a result");
      return row;
    }),
    prefillMs: prefilledAt - startedAt,
    decodeMs: now() - prefilledAt,
  };
}
