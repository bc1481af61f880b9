// The decode batch of many requests: they join at their prompts and leave as they end, each with its own
// settings and its own way of choosing (greedy, sampling, beams: see Search). While all of them can choose for
// themselves, several steps are one run of the model; as soon as one cannot, every step comes out for its scores.
import { beamSearch } from "./beam-search.ts";
import type { DecodeBatch, Decoder, PromptRow } from "./decoder.ts";
import { independentSearch, unaidedSearch } from "./independent-search.ts";
import { type LengthLimits, limitLengths } from "./length-limits.ts";
import { createLogitsProcessors } from "./logits-processors.ts";
import { createRandom, entropySeed } from "./random.ts";
import { type Continuation, type FoundSequence, nothingToChoose, type Search } from "./search.ts";
import { argmax, sampling } from "./selection.ts";
import { createSequence } from "./sequence.ts";
import type { Generation } from "@blip2-edge/shared/contracts/generation";

export interface GenerationRow extends PromptRow {
  readonly generation: Generation;
}

export interface GeneratedRow {
  /** num_return_sequences of them, best first; fewer only when the settings leave no more. */
  readonly sequences: readonly [FoundSequence, ...FoundSequence[]];
  /** Parameters that changed nothing for this prompt. */
  readonly notes: readonly string[];
}

/** A request that was found to fit the model. */
export interface PreparedRow {
  readonly row: GenerationRow;
  readonly promptIds: readonly number[];
  readonly limits: LengthLimits;
  /** Rows of the batch that it may come to hold: its beams or samples. */
  readonly width: number;
  /** Of keys and values, at its widest and longest. */
  readonly bytes: number;
}

/** How a request stands after a join or a run. */
export interface Progress<Key> {
  readonly key: Key;
  /** Generated so far and final; empty until the end where beams or several samples compete. */
  readonly ids: readonly number[];
  /** Set when it has ended; it has then left the batch. */
  readonly done?: GeneratedRow;
  /** Set when it alone cannot go on; it has then left the batch. */
  readonly error?: unknown;
}

export interface RunningBatch<Key> {
  /** Rows that the next step computes. */
  readonly rows: number;
  /** Of keys and values that are held. */
  readonly bytes: number;
  /** Requests in it, in the order of their rows. */
  readonly keys: readonly Key[];
  /** Runs the prompts; gives how the newcomers stand. */
  join(
    entries: readonly { readonly key: Key; readonly prepared: PreparedRow }[],
  ): Promise<readonly Progress<Key>[]>;
  /** Makes at most so many steps, at least one; gives how everyone stands. Nothing to do gives nothing. */
  run(maxSteps: number): Promise<readonly Progress<Key>[]>;
  /** Takes requests out that nobody waits for. */
  remove(keys: readonly Key[]): void;
}

export interface RunningBatchOptions {
  readonly endIds: readonly number[];
  /** Seeds what has none of its own: an unsigned 32-bit number. */
  readonly entropy?: () => number;
}

/** Errors: `prompt_too_long`, `invalid_request`. */
export function prepareRow(decoder: Decoder, row: GenerationRow): PreparedRow {
  const promptIds = decoder.promptIds(row);
  const limits = limitLengths(row.generation, promptIds.length);
  const { max_new_tokens, num_beams, num_return_sequences } = limits.generation;
  decoder.checkContext(row, max_new_tokens);
  const width = Math.max(num_beams, num_return_sequences);
  return { row, promptIds, limits, width, bytes: width * decoder.rowBytes(row, max_new_tokens) };
}

interface Member<Key> {
  readonly key: Key;
  readonly prepared: PreparedRow;
  readonly search: Search;
  /** Of its rows, what each is fed next. Empty once it is done. */
  going: readonly Continuation[];
}

export function createRunningBatch<Key>(
  decoder: Decoder,
  options: RunningBatchOptions,
): RunningBatch<Key> {
  const { endIds, entropy = entropySeed } = options;
  const batch: DecodeBatch = decoder.openBatch();
  let members: readonly Member<Key>[] = [];

  const rowOf = (logits: Float32Array, at: number): Float32Array =>
    logits.subarray(at * decoder.vocab, (at + 1) * decoder.vocab);

  /** Lets a member choose from its rows' scores. Its own fault ends it alone. */
  const advance = (member: Member<Key>, logits: readonly Float32Array[]): Progress<Key> => {
    try {
      member.going = member.search.advance(logits);
    } catch (error) {
      member.going = [];
      return { key: member.key, ids: [], error };
    }
    return standing(member);
  };

  /** Keeps the rows that the members go on from. `firstRow` of each member's parents. */
  const settle = (some: readonly Place<Key>[]): void => {
    const kept = fillGaps(some);
    const parents = kept.flatMap(({ member, firstRow }) =>
      member.going.map(({ parent }) => firstRow + parent),
    );
    const unchanged = parents.length === batch.rows && parents.every((parent, at) => parent === at);
    if (!unchanged) batch.select(parents);
    for (const { member } of kept) {
      member.going = member.going.map(({ id }, parent) => ({ parent, id }));
    }
    members = kept.flatMap(({ member }) => (member.going.length === 0 ? [] : [member]));
  };

  const firstRows = (): number[] => {
    let next = 0;
    return members.map(({ going }) => {
      const first = next;
      next += going.length;
      return first;
    });
  };

  const stepOnce = async (): Promise<readonly Progress<Key>[]> => {
    const logits = await batch.step(members.flatMap(({ going }) => going.map(({ id }) => id)));
    const firsts = firstRows();
    const kept = members.map((member, index) => ({ member, firstRow: firsts[index] ?? 0 }));
    const progress = kept.map(({ member, firstRow }) =>
      advance(
        member,
        member.going.map((_, at) => rowOf(logits, firstRow + at)),
      ),
    );
    settle(kept);
    return progress;
  };

  const runUnaided = async (maxSteps: number): Promise<readonly Progress<Key>[]> => {
    const rows = members.map((member) => ({ member, unaided: unaidedOf(member) }));
    const longest = Math.max(...rows.map(({ unaided }) => unaided.tokensLeft));
    const made = await batch.run(
      rows.map(({ unaided }) => unaided.lastId),
      Math.min(maxSteps, longest),
      rows.map(({ unaided }) => unaided.heldBack),
    );
    const progress = rows.map(({ member, unaided }, at): Progress<Key> => {
      for (let step = 0; step < made.steps; step += 1) {
        const id = made.ids[step * rows.length + at] ?? -1;
        const logProb = made.logProbs[step * rows.length + at] ?? NaN;
        if (Number.isNaN(logProb)) {
          member.going = [];
          return { key: member.key, ids: [], error: nothingToChoose(new Float32Array()) };
        }
        if (!unaided.take(id, logProb)) {
          member.going = [];
          break;
        }
        member.going = [{ parent: 0, id }];
      }
      return standing(member);
    });
    settle(rows.map(({ member }, firstRow) => ({ member, firstRow })));
    return progress;
  };

  return {
    get rows() {
      return batch.rows;
    },
    get bytes() {
      return batch.bytes;
    },
    get keys() {
      return members.map(({ key }) => key);
    },
    async join(entries) {
      if (entries.length === 0) return [];
      const before = batch.rows;
      const firsts = firstRows();
      const logits = await batch.join(entries.map(({ prepared }) => prepared.row));
      const newcomers = entries.map(({ key, prepared }): Member<Key> => ({
        key,
        prepared,
        search: createSearch(prepared, endIds, entropy),
        going: [],
      }));
      const progress = newcomers.map((member, at) => advance(member, [rowOf(logits, at)]));
      settle([
        ...members.map((member, index) => ({ member, firstRow: firsts[index] ?? 0 })),
        ...newcomers.map((member, at) => ({ member, firstRow: before + at })),
      ]);
      return progress;
    },
    async run(maxSteps) {
      if (members.length === 0) return [];
      return members.every(({ search }) => search.unaided !== undefined)
        ? runUnaided(maxSteps)
        : stepOnce();
    },
    remove(keys) {
      const gone = new Set(keys);
      const firsts = firstRows();
      settle(
        members
          .map((member, index) => ({ member, firstRow: firsts[index] ?? 0 }))
          .filter(({ member }) => !gone.has(member.key)),
      );
    },
  };
}

interface Place<Key> {
  readonly member: Member<Key>;
  readonly firstRow: number;
}

/**
 * Where every member has one row, the last ones come into the places of those who left: then only they are copied.
 * Other batches keep their order.
 */
function fillGaps<Key>(places: readonly Place<Key>[]): readonly Place<Key>[] {
  const staying = places.filter(({ member }) => member.going.length > 0);
  const single = staying.every(
    ({ member }) => member.going.length === 1 && member.going[0]?.parent === 0,
  );
  if (!single) return staying;
  const inPlace = new Map(staying.map((place) => [place.firstRow, place]));
  const last = staying.filter(({ firstRow }) => firstRow >= staying.length);
  return staying
    .map((_, row) => inPlace.get(row) ?? last.pop())
    .filter((each) => each !== undefined);
}

function standing<Key>({ key, search, going, prepared }: Member<Key>): Progress<Key> {
  const ids = search.newestIds();
  if (going.length > 0) return { key, ids };
  const [best, ...others] = search.results();
  if (best === undefined) throw new Error("a search ended without a result");
  return { key, ids, done: { sequences: [best, ...others], notes: prepared.limits.notes } };
}

function unaidedOf<Key>({ search }: Member<Key>) {
  if (search.unaided === undefined) throw new Error("a request that needs its scores");
  return search.unaided;
}

function createSearch(
  { promptIds, limits }: PreparedRow,
  endIds: readonly number[],
  entropy: () => number,
): Search {
  const { generation } = limits;
  const { num_beams: beams, do_sample: drawn, num_return_sequences: count } = generation;
  const seed = drawn ? (generation.seed ?? entropy()) : 0;
  if (beams > 1) {
    const processors = createLogitsProcessors(generation, promptIds.length, endIds);
    const random = drawn ? { random: createRandom(seed, 0) } : {};
    return beamSearch({ promptIds, generation, processors, endIds, ...random });
  }
  const rows = Array.from({ length: count }, (_, stream) => ({
    sequence: createSequence(promptIds, generation, endIds),
    select: drawn ? sampling(createRandom(seed, stream)) : argmax,
  }));
  const [only] = rows;
  return only !== undefined && choosesUnaided(generation)
    ? unaidedSearch(only, generation.min_new_tokens)
    : independentSearch(rows);
}

/** Whether the most probable token is all it wants, end tokens held back aside. */
const choosesUnaided = (generation: Generation): boolean =>
  !generation.do_sample &&
  generation.num_return_sequences === 1 &&
  generation.repetition_penalty === 1 &&
  generation.no_repeat_ngram_size === 0;
