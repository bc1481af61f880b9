import { expect, test } from "vitest";
import { generationSchema } from "@blip2-edge/shared/contracts/generation";
import { largestRequest, mixedLengths, soakRequest } from "./load-mix.ts";

const lengths = { shortest: 4, longest: 64 };

test("the mix is the same in every run, and a longer one begins with a shorter one", () => {
  const mix = mixedLengths(16, lengths);
  expect(mix).toEqual([4, 41, 18, 56, 32, 9, 47, 23, 61, 38, 15, 52, 29, 6, 43, 20]);
  expect(mixedLengths(32, lengths).slice(0, 16)).toEqual(mix);
});

test("lengths stay within their bounds and are spread over them", () => {
  const mix = mixedLengths(200, lengths);
  expect(Math.min(...mix)).toBe(4);
  expect(Math.max(...mix)).toBe(64);
  const mean = mix.reduce((sum, length) => sum + length, 0) / mix.length;
  expect(mean).toBeGreaterThan(32);
  expect(mean).toBeLessThan(36);
  expect(mixedLengths(3, { shortest: 5, longest: 5 })).toEqual([5, 5, 5]);
});

test("a soak asks the same in every run, in many ways, and nothing that a node refuses", () => {
  const asked = Array.from({ length: 300 }, (_, index) => soakRequest(index, lengths));
  expect(asked).toEqual(asked.map((_, index) => soakRequest(index, lengths)));
  for (const { generation, picture } of asked) {
    expect(generationSchema.safeParse(generation).success).toBe(true);
    expect(picture).toBeGreaterThanOrEqual(0);
  }
  const shown = new Set(asked.map(({ picture }) => picture)).size;
  expect(shown).toBeGreaterThan(100);
  expect(shown).toBeLessThan(250);
  const has = (field: string) => asked.filter(({ generation }) => field in generation).length;
  for (const field of ["num_beams", "do_sample", "repetition_penalty"]) {
    expect(has(field)).toBeGreaterThan(20);
  }
  expect(asked.filter(({ text }) => text === null).length).toBeGreaterThan(100);
});

test("nothing in a soak has more words or more tokens than what it begins with", () => {
  const { text, generation } = largestRequest(0, lengths);
  const wordsOf = (asked: string | null) => asked?.split(" ").length ?? 0;
  expect(generationSchema.safeParse(generation).success).toBe(true);
  for (const asked of Array.from({ length: 300 }, (_, index) => soakRequest(index, lengths))) {
    expect(wordsOf(asked.text)).toBeLessThanOrEqual(wordsOf(text));
    expect(asked.generation.max_new_tokens).toBeLessThanOrEqual(generation.max_new_tokens ?? 0);
  }
});
