// The decode loop: several requests as one batch, each with its own settings and its own way of choosing
// (greedy, sampling, beams: see Search), each leaving the batch as it ends. A prompt is run once, however
// many beams or samples go on from it. Continuous batching will be requests that join between two steps.
import type { Generation } from "@blip2-edge/shared/contracts/generation";
import { beamSearch } from "./beam-search.ts";
import type { DecodeResult, Decoder, PromptRow } from "./decoder.ts";
import { independentSearch } from "./independent-search.ts";
import { type LengthLimits, limitLengths } from "./length-limits.ts";
import { createLogitsProcessors } from "./logits-processors.ts";
import { createRandom, entropySeed } from "./random.ts";
import type { FoundSequence, Search } from "./search.ts";
import { argmax, sampling } from "./selection.ts";
import { createSequence } from "./sequence.ts";

export interface GenerationRow extends PromptRow {
  readonly generation: Generation;
}

export interface GeneratedRow {
  /** num_return_sequences of them, best first; fewer only when the settings leave no more. */
  readonly sequences: readonly [FoundSequence, ...FoundSequence[]];
  /** Parameters that changed nothing for this prompt. */
  readonly notes: readonly string[];
}

export interface GenerateOptions {
  readonly endIds: readonly number[];
  /** Looked at between steps; a step that runs is not interrupted. */
  readonly signal?: AbortSignal;
  /** Seeds what has none of its own: an unsigned 32-bit number. */
  readonly entropy?: () => number;
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
 * Generates for all rows. Errors: `prompt_too_long` and `invalid_request` before anything runs;
 * `invalid_request` when settings ban every token; the signal's reason.
 */
export async function generate<State>(
  decoder: Decoder<State>,
  rows: readonly GenerationRow[],
  options: GenerateOptions,
): Promise<Generated> {
  const { endIds, signal, entropy = entropySeed, now = () => performance.now() } = options;
  const prompts = rows.map((row) => {
    const ids = decoder.promptIds(row);
    const limits = limitLengths(row.generation, ids.length);
    decoder.checkContext(row, limits.generation.max_new_tokens);
    return { ids, limits };
  });
  signal?.throwIfAborted();
  const searches = prompts.map(({ ids, limits }) => createSearch(ids, limits, endIds, entropy));
  const startedAt = now();
  let step: DecodeResult<State> = await decoder.prefill(rows);
  const prefilledAt = now();

  // The searches that are not done, and how many of the state's rows belong to each, in their order.
  let batch = searches.map((search) => ({ search, count: 1 }));
  for (;;) {
    const going: typeof batch = [];
    const parents: number[] = [];
    const ids: number[] = [];
    let first = 0;
    for (const { search, count } of batch) {
      const logits = Array.from({ length: count }, (_, at) =>
        step.logits.subarray((first + at) * decoder.vocab, (first + at + 1) * decoder.vocab),
      );
      const continuations = search.advance(logits);
      for (const { parent, id } of continuations) {
        parents.push(first + parent);
        ids.push(id);
      }
      if (continuations.length > 0) going.push({ search, count: continuations.length });
      first += count;
    }
    if (going.length === 0) break;
    signal?.throwIfAborted();
    const unchanged = parents.length === first && parents.every((parent, at) => parent === at);
    const state = unchanged ? step.state : decoder.selectRows(step.state, parents);
    batch = going;
    step = await decoder.decodeStep(state, ids);
  }
  return {
    rows: searches.map((search, at) => {
      const [best, ...others] = search.results();
      if (best === undefined) throw new Error("a search ended without a result");
      return { sequences: [best, ...others], notes: prompts[at]?.limits.notes ?? [] };
    }),
    prefillMs: prefilledAt - startedAt,
    decodeMs: now() - prefilledAt,
  };
}

function createSearch(
  promptIds: readonly number[],
  { generation }: LengthLimits,
  endIds: readonly number[],
  entropy: () => number,
): Search {
  const { num_beams: beams, do_sample: drawn, num_return_sequences: count } = generation;
  const seed = drawn ? (generation.seed ?? entropy()) : 0;
  if (beams > 1) {
    const processors = createLogitsProcessors(generation, promptIds.length, endIds);
    const random = drawn ? { random: createRandom(seed, 0) } : {};
    return beamSearch({ promptIds, generation, processors, endIds, ...random });
  }
  return independentSearch(
    Array.from({ length: count }, (_, stream) => ({
      sequence: createSequence(promptIds, generation, endIds),
      select: drawn ? sampling(createRandom(seed, stream)) : argmax,
    })),
  );
}
