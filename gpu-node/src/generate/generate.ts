// The decode loop: several sequences as one batch, each with its own settings, each leaving the batch
// as it ends. Greedy today; a beam is more rows and a reordering selectRows, sampling another
// Selection, continuous batching rows that join between two steps.
import type { FinishReason, Generation } from "@blip2-edge/shared/contracts/generation";
import { AppError } from "@blip2-edge/shared/problem";
import type { DecodeResult, Decoder, PromptRow } from "./decoder.ts";
import { argmax, logProbability, type Selection } from "./selection.ts";
import { createSequence, type Sequence } from "./sequence.ts";

export interface GenerationRow extends PromptRow {
  readonly generation: Generation;
}

export interface GeneratedRow {
  /** Generated ids, end token included. */
  readonly tokenIds: readonly number[];
  readonly finishReason: FinishReason;
  /** Mean log-softmax of the raw logits at the chosen ids, end token included. */
  readonly logProb: number;
}

export interface GenerateOptions {
  readonly endIds: readonly number[];
  /** Looked at between steps; a step that runs is not interrupted. */
  readonly signal?: AbortSignal;
  readonly select?: Selection;
  /** Milliseconds, monotonic. */
  readonly now?: () => number;
}

export interface Generated {
  /** In the order of the rows. */
  readonly rows: readonly GeneratedRow[];
  readonly prefillMs: number;
  readonly decodeMs: number;
}

/**
 * Generates for all rows. Errors: `prompt_too_long` before anything runs; the signal's reason.
 */
export async function generate<State>(
  decoder: Decoder<State>,
  rows: readonly GenerationRow[],
  options: GenerateOptions,
): Promise<Generated> {
  const { endIds, signal, select = argmax, now = () => performance.now() } = options;
  for (const row of rows) decoder.checkContext(row, row.generation.max_new_tokens);
  signal?.throwIfAborted();
  const sequences = rows.map((row) =>
    createSequence(decoder.promptIds(row), row.generation, endIds),
  );
  const startedAt = now();
  let step: DecodeResult<State> = await decoder.prefill(rows);
  const prefilledAt = now();

  // The sequences that are not done, in the order of the state's rows.
  let batch: readonly Sequence[] = sequences;
  for (;;) {
    batch.forEach((sequence, at) => {
      const logits = step.logits.subarray(at * decoder.vocab, (at + 1) * decoder.vocab);
      const id = chooseNext(sequence, logits, select);
      sequence.append(id, logProbability(logits, id));
    });
    const staying = [...batch.keys()].filter((at) => batch[at]?.finishReason === undefined);
    if (staying.length === 0) break;
    signal?.throwIfAborted();
    const state =
      staying.length === batch.length ? step.state : decoder.selectRows(step.state, staying);
    batch = batch.filter((sequence) => sequence.finishReason === undefined);
    step = await decoder.decodeStep(
      state,
      batch.map((sequence) => sequence.lastId),
    );
  }
  return {
    rows: sequences.map((sequence) => ({
      tokenIds: sequence.tokenIds(),
      finishReason: sequence.finishReason ?? "length",
      logProb: sequence.meanLogProbability(),
    })),
    prefillMs: prefilledAt - startedAt,
    decodeMs: now() - prefilledAt,
  };
}

function chooseNext(sequence: Sequence, logits: Float32Array, select: Selection): number {
  let scores = logits;
  if (sequence.processors.length > 0) {
    scores = logits.slice();
    for (const process of sequence.processors) process(sequence.ids, scores);
  }
  const id = select(scores);
  if (id >= 0) return id;
  if (argmax(logits) < 0) {
    throw new AppError("internal", "", { internal: "the model's logits are not numbers" });
  }
  throw new AppError(
    "invalid_request",
    "No token is left to choose under these settings; lower no_repeat_ngram_size or min_new_tokens.",
  );
}
