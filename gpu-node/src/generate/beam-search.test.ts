// Beam search over a scripted language model small enough to look at all its texts.
import { type GenerationRequest, resolveGeneration } from "@blip2-edge/shared/contracts/generation";
import { array, assert, asyncProperty, constantFrom, double, integer, record } from "fast-check";
import { describe, expect, test } from "vitest";
import { takeCandidates } from "./beam-candidates.ts";
import { decoderOfScores } from "../../../test/support/decoder-of-scores.ts";
import { generate } from "./generate.ts";
import { createRandom } from "./random.ts";
import type { GenerationRow } from "./running-batch.ts";
import { logProbability } from "./selection.ts";

const endId = 0;
const vocab = 4;

/** Scores that depend on the whole text so far, drawn from `noise`. */
function scoresAfter(noise: readonly number[], ids: readonly number[]): Float32Array {
  const place = ids.reduce((sum, id) => sum * 7 + id + 1, 3);
  return Float32Array.from({ length: vocab }, (_, id) => {
    const value = noise[(place * 5 + id * 11) % noise.length] ?? 0;
    return 3 * Math.sin(value * (1 + (place % 13)) + id);
  });
}

function languageModel(noise: readonly number[]) {
  const { decoder, calls } = decoderOfScores({
    vocab,
    endIds: [endId],
    promptIds: ({ textIds }) => [3, ...textIds],
    scores: (textIds, fed) => scoresAfter(noise, [...textIds, ...fed]),
  });
  return { decoder, rowsPerStep: calls.rowsPerStep };
}

const row = (generation: GenerationRequest, textIds: readonly number[] = [1]): GenerationRow => ({
  prefix: new Float32Array(1),
  textIds,
  generation: resolveGeneration(generation),
});
const search = async (noise: readonly number[], ...rows: GenerationRow[]) =>
  (await generate(languageModel(noise).decoder, rows, { endIds: [endId] })).rows;

interface Text {
  readonly ids: readonly number[];
  readonly logProb: number;
}

/** Every text that ends, or is as long as it may be. */
function everyText(noise: readonly number[], prompt: readonly number[], longest: number): Text[] {
  const grow = ({ ids, logProb }: Text): Text[] =>
    Array.from({ length: vocab }, (_, id) => id).flatMap((id) => {
      const scores = scoresAfter(noise, [...prompt, ...ids]);
      const next = { ids: [...ids, id], logProb: logProb + logProbability(scores, id) };
      return id === endId || next.ids.length === longest ? [next] : grow(next);
    });
  return grow({ ids: [], logProb: 0 });
}

const anyNoise = array(double({ min: -3, max: 3, noNaN: true }), { minLength: 31, maxLength: 31 });
const anyPenalty = constantFrom(-1, 0, 0.5, 1, 2);

describe("beam search", () => {
  test("with enough beams and no early end finds the best of all texts", async () => {
    for (let seed = 0; seed < 60; seed += 1) {
      const noise = Array.from({ length: 31 }, createRandom(seed, 0));
      const lengthPenalty = [-1, 0, 0.5, 1, 2][seed % 5]!;
      const best = everyText(noise, [1], 4).toSorted(
        (one, other) =>
          other.logProb / other.ids.length ** lengthPenalty -
          one.logProb / one.ids.length ** lengthPenalty,
      );
      // 16 beams hold all 9 + 27 unfinished texts that matter here but the least likely.
      const [found] = await search(
        noise,
        row({
          num_beams: 16,
          max_new_tokens: 4,
          length_penalty: lengthPenalty,
          early_stopping: "never",
          num_return_sequences: 3,
        }),
      );
      const ids = found?.sequences.map(({ tokenIds }) => tokenIds);
      expect(ids?.[0]).toEqual(best[0]?.ids);
      for (const { tokenIds, logProb } of found?.sequences ?? []) {
        const text = best.find((each) => String(each.ids) === String(tokenIds));
        expect(logProb).toBeCloseTo(text!.logProb / tokenIds.length, 5);
      }
    }
  });

  test("one beam is greedy, whatever the length penalty", async () => {
    for (let seed = 0; seed < 20; seed += 1) {
      const noise = Array.from({ length: 31 }, createRandom(seed, 1));
      const settings = { max_new_tokens: 6, repetition_penalty: 1.3 };
      const [greedy] = await search(noise, row(settings));
      const [one] = await search(noise, row({ ...settings, num_beams: 1, length_penalty: -1 }));
      expect(one).toEqual(greedy);
    }
  });

  test("is never less likely than greedy at length penalty 0 with a fixed length", async () => {
    const noise = Array.from({ length: 31 }, createRandom(9, 0));
    const settings = { max_new_tokens: 6, min_new_tokens: 6 };
    const [greedy] = await search(noise, row(settings));
    const [beams] = await search(noise, row({ ...settings, num_beams: 8, length_penalty: 0 }));
    expect(beams!.sequences[0].logProb).toBeGreaterThanOrEqual(greedy!.sequences[0].logProb - 1e-6);
  });

  test("requests in one batch give what each gives alone", async () => {
    await assert(
      asyncProperty(
        anyNoise,
        array(
          record({
            num_beams: integer({ min: 1, max: 5 }),
            max_new_tokens: integer({ min: 1, max: 7 }),
            length_penalty: anyPenalty,
            early_stopping: constantFrom<(boolean | "never")[]>(true, false, "never"),
            do_sample: constantFrom(true, false),
            seed: integer({ min: 0, max: 9 }),
          }),
          { minLength: 2, maxLength: 5 },
        ),
        async (noise, requests) => {
          const rows = requests.map((request, at) => row(request, [1, at % 3]));
          const together = await search(noise, ...rows);
          for (const [at, one] of rows.entries()) {
            expect(together[at]).toEqual((await search(noise, one))[0]);
          }
        },
      ),
    );
  });

  test("ends as early as it is told to", async () => {
    const noise = Array.from({ length: 31 }, createRandom(4, 0));
    const steps = async (early: boolean | "never", length_penalty: number) => {
      const { decoder, rowsPerStep } = languageModel(noise);
      const settings = { num_beams: 2, max_new_tokens: 14, early_stopping: early, length_penalty };
      await generate(decoder, [row(settings)], { endIds: [endId] });
      return rowsPerStep.length;
    };
    expect(await steps(true, 1)).toBeLessThanOrEqual(await steps(false, 1));
    expect(await steps(false, 1)).toBeLessThanOrEqual(await steps("never", 1));
    // Below 0 a longer text is no better for being long: "never" looks no further than false.
    expect(await steps("never", -1)).toBe(await steps(false, -1));
  });

  test("settings that ban every token are refused", async () => {
    const all = row({ num_beams: 2, no_repeat_ngram_size: 1 }, [0, 1, 2, 3, 1]);
    await expect(search([0.5], all)).rejects.toMatchObject({ code: "invalid_request" });
  });
});

describe("candidates", () => {
  const beams = (scores: readonly (readonly number[])[]) =>
    scores.map((next) => ({ score: -1, next: Float32Array.from(next) }));

  test("are the best over all beams, equal ones in their order, banned ones never", () => {
    const taken = takeCandidates(
      beams([
        [-3, -1, -Infinity],
        [-1, -2, -1],
      ]),
      4,
    );
    expect(taken.map(({ beam, id, score }) => [beam, id, score])).toEqual([
      [0, 1, -2],
      [1, 0, -2],
      [1, 2, -2],
      [1, 1, -3],
    ]);
    expect(takeCandidates(beams([[-1, -Infinity]]), 4)).toHaveLength(1);
  });

  test("drawn: the first follows softmax, the second the softmax of what is left", () => {
    const random = createRandom(11, 0);
    const weights = [0.5, 0.3, 0.2];
    const next = weights.map((weight) => Math.log(weight));
    const pairs = new Map<string, number>();
    const draws = 60_000;
    for (let at = 0; at < draws; at += 1) {
      const [one, two] = takeCandidates(beams([next]), 2, random);
      const pair = `${one?.id}${two?.id}`;
      pairs.set(pair, (pairs.get(pair) ?? 0) + 1);
    }
    let chiSquared = 0;
    for (const one of [0, 1, 2]) {
      for (const two of [0, 1, 2].filter((id) => id !== one)) {
        const expected = (draws * weights[one]! * weights[two]!) / (1 - weights[one]!);
        chiSquared += ((pairs.get(`${one}${two}`) ?? 0) - expected) ** 2 / expected;
      }
    }
    expect(chiSquared).toBeLessThan(20.5); // 5 degrees of freedom, 1 in 1000
  });
});
