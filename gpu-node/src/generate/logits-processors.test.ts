import { resolveGeneration } from "@blip2-edge/shared/contracts/generation";
import { array, assert, double, integer, property } from "fast-check";
import { describe, expect, test } from "vitest";
import {
  createLogitsProcessors,
  minNewTokens,
  noRepeatNgram,
  repetitionPenalty,
} from "./logits-processors.ts";

const applied = (
  process: (ids: readonly number[], scores: Float32Array) => void,
  ids: readonly number[],
  scores: readonly number[],
): number[] => {
  const row = Float32Array.from(scores);
  process(ids, row);
  return [...row];
};

describe("repetition penalty", () => {
  test("divides positive and multiplies negative scores of ids that occurred", () => {
    expect(applied(repetitionPenalty(2), [0, 1, 3], [4, -4, 4, 0])).toEqual([2, -8, 4, 0]);
  });
  test("counts an id once however often it occurred", () => {
    expect(applied(repetitionPenalty(2), [0, 0, 0], [8, 1])).toEqual([4, 1]);
  });
  test("an id beyond the vocabulary is no score", () => {
    expect(applied(repetitionPenalty(2), [9], [8, 1])).toEqual([8, 1]);
  });
});

describe("no repeated n-gram", () => {
  test("bans what would complete a bigram that stands already", () => {
    // ... 1 2 ... 1 -> 2 is banned; 3 followed nothing.
    expect(applied(noRepeatNgram(2), [1, 2, 3, 1], [0, 0, 0, 0])).toEqual([0, 0, -Infinity, 0]);
  });
  test("bans every continuation that the prefix has had", () => {
    expect(applied(noRepeatNgram(2), [1, 2, 1, 3, 1], [0, 0, 0, 0])).toEqual([
      0,
      0,
      -Infinity,
      -Infinity,
    ]);
  });
  test("a trigram needs both ids of its prefix", () => {
    expect(applied(noRepeatNgram(3), [1, 2, 3, 0, 2], [0, 0, 0, 0])).toEqual([0, 0, 0, 0]);
    expect(applied(noRepeatNgram(3), [1, 2, 3, 1, 2], [0, 0, 0, 0])).toEqual([0, 0, 0, -Infinity]);
  });
  test("size one bans every id that occurred", () => {
    expect(applied(noRepeatNgram(1), [0, 2], [1, 1, 1])).toEqual([-Infinity, 1, -Infinity]);
  });
  test("a sequence shorter than its prefix bans nothing", () => {
    expect(applied(noRepeatNgram(5), [1, 1], [0, 0])).toEqual([0, 0]);
  });
  test("the image run counts: its placeholder may not follow itself again", () => {
    expect(applied(noRepeatNgram(2), [3, 3, 3], [0, 0, 0, 0])).toEqual([0, 0, 0, -Infinity]);
  });
  test("a sequence that obeys it never holds an n-gram twice", () => {
    assert(
      property(
        integer({ min: 1, max: 4 }),
        array(double({ min: -1, max: 1, noNaN: true }), { minLength: 30, maxLength: 30 }),
        (size, noise) => {
          const ids: number[] = [];
          for (const value of noise) {
            const scores = Float32Array.from({ length: 5 }, (_, id) => Math.sin(value * 7 + id));
            noRepeatNgram(size)(ids, scores);
            const best = scores.indexOf(Math.max(...scores));
            if (scores[best] === -Infinity) break;
            ids.push(best);
          }
          const grams = ids
            .slice(0, Math.max(0, ids.length - size + 1))
            .map((_, start) => ids.slice(start, start + size).join());
          expect(new Set(grams).size).toBe(grams.length);
        },
      ),
    );
  });
});

describe("min new tokens", () => {
  test("bans the end tokens until enough ids follow the prompt", () => {
    const process = minNewTokens(2, 3, [1, 2]);
    expect(applied(process, [9, 9, 9, 0], [5, 5, 5])).toEqual([5, -Infinity, -Infinity]);
    expect(applied(process, [9, 9, 9, 0, 0], [5, 5, 5])).toEqual([5, 5, 5]);
  });
});

describe("createLogitsProcessors", () => {
  test("makes none for the defaults", () => {
    expect(createLogitsProcessors(resolveGeneration({}), 4, [1])).toEqual([]);
  });
  test("applies them in the reference's order: a banned score stays banned", () => {
    const processors = createLogitsProcessors(
      resolveGeneration({ repetition_penalty: 2, no_repeat_ngram_size: 1, min_new_tokens: 1 }),
      2,
      [2],
    );
    const scores = Float32Array.of(4, 4, 4);
    for (const process of processors) process([0, 0], scores);
    expect(processors).toHaveLength(3);
    expect([...scores]).toEqual([-Infinity, 4, -Infinity]);
  });
});
