import { type GenerationRequest, resolveGeneration } from "@blip2-edge/shared/contracts/generation";
import { describe, expect, test } from "vitest";
import { limitLengths } from "./length-limits.ts";

const limited = (request: GenerationRequest, promptLength = 34) => {
  const { generation, notes } = limitLengths(resolveGeneration(request), promptLength);
  return [generation.max_new_tokens, generation.min_new_tokens, notes.length];
};

describe("lengths with the prompt", () => {
  test("max_length counts the prompt; max_new_tokens goes first", () => {
    expect(limited({ max_length: 40 })).toEqual([6, 0, 0]);
    expect(limited({ max_length: 40, max_new_tokens: 9 })).toEqual([9, 0, 0]);
    expect(limited({})).toEqual([20, 0, 0]);
  });

  test("a max_length that leaves nothing, or too much, is refused with its numbers", () => {
    for (const [maxLength, words] of [
      [34, /`max_length` 34 leaves nothing .* 34 tokens before the answer/],
      [5, /leaves nothing/],
      [291, /leaves 257 tokens to generate; 256 is the most/],
    ] as const) {
      expect(() => limited({ max_length: maxLength })).toThrow(words);
    }
    expect(limited({ max_length: 290 })).toEqual([256, 0, 0]);
  });

  test("min_length counts the prompt, and says so when that is all it does", () => {
    expect(limited({ min_length: 40 })).toEqual([20, 6, 0]);
    expect(limited({ min_length: 34 })).toEqual([20, 0, 1]);
    expect(limited({ min_length: 40, min_new_tokens: 2 })).toEqual([20, 2, 0]);
    const { notes } = limitLengths(resolveGeneration({ min_length: 8 }), 34);
    expect(notes).toEqual([
      "`min_length` changed nothing: it counts the decoder's 34 tokens before the answer too; min_new_tokens does not.",
    ]);
  });
});
