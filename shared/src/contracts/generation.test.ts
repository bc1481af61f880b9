import {
  assert,
  boolean,
  constantFrom,
  double,
  integer,
  option,
  property,
  record,
} from "fast-check";
import { describe, expect, test } from "vitest";
import {
  generationNotes,
  type GenerationRequest,
  generationSchema,
  isReproducible,
  requestOf,
  resolveGeneration,
} from "./generation.ts";

const maybe = <T>(value: Parameters<typeof option<T>>[0]) => option(value, { nil: undefined });
const anyRequest = record({
  max_new_tokens: maybe(integer({ min: 1, max: 256 })),
  min_new_tokens: maybe(integer({ min: 0, max: 256 })),
  max_length: maybe(integer({ min: 1, max: 2048 })),
  min_length: maybe(integer({ min: 0, max: 2048 })),
  num_beams: maybe(integer({ min: 1, max: 16 })),
  length_penalty: maybe(double({ min: -10, max: 10, noNaN: true })),
  early_stopping: maybe(constantFrom<(boolean | "never")[]>(true, false, "never")),
  repetition_penalty: maybe(double({ min: 0.1, max: 10, noNaN: true })),
  no_repeat_ngram_size: maybe(integer({ min: 0, max: 64 })),
  do_sample: maybe(boolean()),
  temperature: maybe(double({ min: 0.1, max: 100, noNaN: true })),
  top_k: maybe(integer({ min: 0, max: 1000 })),
  top_p: maybe(double({ min: 0, max: 1, noNaN: true })),
  num_return_sequences: maybe(integer({ min: 1, max: 16 })),
  seed: maybe(integer({ min: 0, max: 0xffff_ffff })),
})
  .map((all) => Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)))
  .map((request) => request as GenerationRequest);

test("what goes over the wire resolves to the same again, and passes the schema when it did", () => {
  assert(
    property(anyRequest, (request) => {
      const resolved = resolveGeneration(request);
      const sent = JSON.parse(JSON.stringify(requestOf(resolved))) as GenerationRequest;
      // JSON has one zero.
      const plain = JSON.parse(JSON.stringify(resolved)) as object;
      expect(resolveGeneration(sent)).toEqual(plain);
      expect(generationSchema.safeParse(sent).success).toBe(
        generationSchema.safeParse(request).success,
      );
    }),
  );
});

test("an older node is not asked in words that the request does not need", () => {
  expect(requestOf(resolveGeneration({ temperature: 2, length_penalty: 0, seed: 3 }))).toEqual({
    max_new_tokens: 20,
    min_new_tokens: 0,
    repetition_penalty: 1,
    no_repeat_ngram_size: 0,
  });
  expect(requestOf(resolveGeneration({ max_length: 50, min_length: 40, num_beams: 3 }))).toEqual({
    max_length: 50,
    min_length: 40,
    num_beams: 3,
    repetition_penalty: 1,
    no_repeat_ngram_size: 0,
  });
});

describe("combinations", () => {
  const faults = (request: GenerationRequest) =>
    generationSchema.safeParse(request).error?.issues.map(({ message }) => message);

  test("that the reference refuses are refused", () => {
    expect(faults({ num_return_sequences: 2 })).toEqual([
      "must be 1 in greedy decoding; set `num_beams` or `do_sample` for more",
    ]);
    expect(faults({ num_return_sequences: 3, num_beams: 2 })).toEqual([
      "must be at most `num_beams`",
    ]);
    expect(faults({ num_return_sequences: 3, num_beams: 2, do_sample: true })).toHaveLength(1);
    expect(faults({ num_return_sequences: 3, num_beams: 3 })).toBeUndefined();
    expect(faults({ num_return_sequences: 3, do_sample: true })).toBeUndefined();
  });

  test("that the reference warns of are noted, and do not make another cache key", () => {
    const idle: GenerationRequest = { top_p: 0.9, temperature: 1, length_penalty: 2, seed: 0 };
    expect(faults(idle)).toBeUndefined();
    expect(generationNotes(idle)).toEqual([
      "`top_p` changed nothing: it is for do_sample.",
      "`seed` changed nothing: it is for do_sample.",
      "`length_penalty` changed nothing: it is for num_beams above 1.",
    ]);
    expect(resolveGeneration(idle)).toEqual(resolveGeneration({}));
    const twice: GenerationRequest = { max_length: 60, max_new_tokens: 5, min_length: 9 };
    expect(generationNotes(twice)).toEqual([
      "`max_length` changed nothing: max_new_tokens goes first.",
    ]);
    expect(
      generationNotes({ do_sample: true, top_p: 0.9, num_beams: 2, length_penalty: 2 }),
    ).toEqual([]);
  });

  test("only sampling without a seed cannot be repeated", () => {
    const reproducible = (request: GenerationRequest) => isReproducible(resolveGeneration(request));
    expect(reproducible({ num_beams: 4 })).toBe(true);
    expect(reproducible({ do_sample: true, seed: 0 })).toBe(true);
    expect(reproducible({ do_sample: true })).toBe(false);
  });
});
