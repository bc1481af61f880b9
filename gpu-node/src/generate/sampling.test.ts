import { resolveGeneration } from "@blip2-edge/shared/contracts/generation";
import { array, assert, double, integer, property } from "fast-check";
import { describe, expect, test } from "vitest";
import { createLogitsProcessors } from "./logits-processors.ts";
import { createRandom } from "./random.ts";
import { temperature, topK, topP } from "./sampling-filters.ts";
import { sampling } from "./selection.ts";

const applied = (
  process: (ids: readonly number[], scores: Float32Array) => void,
  scores: readonly number[],
): number[] => {
  const row = Float32Array.from(scores);
  process([], row);
  return [...row];
};
const softmax = (scores: readonly number[]): number[] => {
  const highest = Math.max(...scores);
  const weights = scores.map((score) => Math.exp(score - highest));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
};
const manyScores = array(double({ min: -8, max: 8, noNaN: true }), {
  minLength: 1,
  maxLength: 20,
});

describe("random", () => {
  test("a seed and a stream repeat; another of either does not", () => {
    const draw = (seed: number, stream: number) => {
      const random = createRandom(seed, stream);
      return Array.from({ length: 8 }, random);
    };
    expect(draw(7, 1)).toEqual(draw(7, 1));
    const all = [draw(7, 1), draw(7, 2), draw(8, 1), draw(0, 0), draw(0xffff_ffff, 0)];
    expect(new Set(all.flat()).size).toBe(40);
  });

  test("is the same on every machine: the first numbers of seed 42 are written down", () => {
    const random = createRandom(42, 0);
    expect([random(), random(), random()]).toMatchInlineSnapshot(`
      [
        0.28027282471083803,
        0.5764169253654875,
        0.0900700092207376,
      ]
    `);
  });

  test("is uniform: 20 bins of 100,000 numbers, chi-squared under its 1-in-1000 bound", () => {
    for (const [seed, stream] of [
      [1, 0],
      [1, 1],
      [2, 0],
    ] as const) {
      const random = createRandom(seed, stream);
      const bins = Array.from({ length: 20 }, () => 0);
      for (let at = 0; at < 100_000; at += 1) {
        const value = random();
        expect(value >= 0 && value < 1).toBe(true);
        bins[Math.floor(value * 20)]! += 1;
      }
      expect(
        chiSquared(
          bins,
          bins.map(() => 5000),
        ),
      ).toBeLessThan(43.8); // 19 degrees of freedom
    }
  });
});

describe("drawing", () => {
  test("follows softmax: 100,000 draws of 6 tokens, chi-squared under its 1-in-1000 bound", () => {
    const scores = [1.5, 0, -1, 2, -3, 0.5];
    const select = sampling(createRandom(3, 0));
    const counts = scores.map(() => 0);
    const row = Float32Array.from(scores);
    for (let at = 0; at < 100_000; at += 1) counts[select(row)]! += 1;
    const expected = softmax(scores).map((probability) => probability * 100_000);
    expect(chiSquared(counts, expected)).toBeLessThan(20.5); // 5 degrees of freedom
  });

  test("never takes what is banned, and says when all is", () => {
    const select = sampling(createRandom(5, 0));
    const row = Float32Array.of(-Infinity, 0, -Infinity, 0);
    const drawn = new Set(Array.from({ length: 200 }, () => select(row)));
    expect(drawn).toEqual(new Set([1, 3]));
    expect(select(Float32Array.of(-Infinity, NaN))).toBe(-1);
  });

  test("with numbers at either end of the range stays inside the vocabulary", () => {
    const row = Float32Array.of(-Infinity, 0.3, 0.1, -Infinity);
    expect(sampling(() => 0)(row)).toBe(1);
    expect(sampling(() => 1 - 2 ** -53)(row)).toBe(2);
  });
});

describe("filters", () => {
  test("temperature divides", () => {
    expect(applied(temperature(0.5), [1, -2])).toEqual([2, -4]);
  });

  test("top-k keeps the k best and their ties, and at least what must stay", () => {
    expect(applied(topK(2, 1), [1, 3, 2, 2])).toEqual([-Infinity, 3, 2, 2]);
    expect(applied(topK(1, 3), [1, 4, 2, 3])).toEqual([-Infinity, 4, 2, 3]);
    expect(applied(topK(9, 1), [1, 2])).toEqual([1, 2]);
  });

  test("top-p keeps the fewest best that hold p, and at least what must stay", () => {
    const scores = [0.5, 0.3, 0.15, 0.05].map((p) => Math.log(p));
    const kept = (p: number, minimum = 1) =>
      applied(topP(p, minimum), scores).filter((score) => score > -Infinity).length;
    expect([kept(0.4), kept(0.6), kept(0.9), kept(0.97)]).toEqual([1, 2, 3, 4]);
    expect([kept(0), kept(0, 2), kept(0.4, 3)]).toEqual([1, 2, 3]);
  });

  test("top-p: what is kept holds at least p, and one token less would not", () => {
    assert(
      property(manyScores, double({ min: 0.01, max: 0.99, noNaN: true }), (scores, p) => {
        const probabilities = softmax(scores.map(Math.fround));
        const kept = applied(topP(p, 1), scores);
        const held = kept.flatMap((score, id) => (score > -Infinity ? [probabilities[id]!] : []));
        const sum = held.reduce((total, probability) => total + probability, 0);
        expect(sum).toBeGreaterThan(p - 1e-9);
        if (held.length > 1) expect(sum - Math.min(...held)).toBeLessThan(p + 1e-9);
        expect(Math.max(...kept)).toBeCloseTo(Math.max(...scores.map(Math.fround)), 12);
      }),
    );
  });

  test("top-k leaves between k and all, never a lower score than one it dropped", () => {
    assert(
      property(manyScores, integer({ min: 1, max: 25 }), (scores, k) => {
        const kept = applied(topK(k, 1), scores).map((score) => score > -Infinity);
        expect(kept.filter(Boolean).length).toBeGreaterThanOrEqual(Math.min(k, scores.length));
        const lowestKept = Math.min(...scores.filter((_, id) => kept[id]).map(Math.fround));
        for (const [id, score] of scores.entries()) {
          if (!kept[id]) expect(Math.fround(score)).toBeLessThan(lowestKept);
        }
      }),
    );
  });

  test("come last, in the reference's order, and with beams leave more than the end tokens", () => {
    const names = (request: object) =>
      createLogitsProcessors(resolveGeneration(request), 1, [0]).map((process) => {
        const row = Float32Array.of(8, 4, 2, 1);
        process([0], row);
        return [...row].map((score) => (score === -Infinity ? "x" : score)).join(" ");
      });
    const request = { do_sample: true, temperature: 2, top_k: 1, top_p: 0.5, min_new_tokens: 1 };
    expect(names(request)).toEqual(["x 4 2 1", "4 2 1 0.5", "8 x x x", "8 x x x"]);
    expect(names({ ...request, num_beams: 2 }).slice(2)).toEqual(["8 4 x x", "8 4 x x"]);
    expect(names({ do_sample: true, top_k: 0 })).toEqual([]);
    expect(names({ temperature: 2, top_k: 1, top_p: 0.5 })).toEqual([]);
  });
});

function chiSquared(counts: readonly number[], expected: readonly number[]): number {
  return counts.reduce((sum, count, at) => sum + (count - expected[at]!) ** 2 / expected[at]!, 0);
}
