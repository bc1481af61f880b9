import { resolveGeneration, type GenerationRequest } from "@blip2-edge/shared/contracts/generation";
import { describe, expect, test } from "vitest";
import { checkContext } from "./context-limit.ts";
import { decoderOfScores } from "../../../test/support/decoder-of-scores.ts";
import { generate } from "./generate.ts";
import type { GenerationRow } from "./running-batch.ts";

const endId = 0;
const vocab = 6;

/** A model that says its script: after the text id t and n generated ids it prefers script[t][n]. */
function scriptedDecoder(script: Record<number, readonly number[]>) {
  return decoderOfScores({
    vocab,
    endIds: [endId],
    promptIds: ({ textIds }) => [5, 5, ...textIds],
    checkContext: ({ textIds }, maxNewTokens) =>
      checkContext({ imageTokens: 2, textTokens: textIds.length, maxNewTokens, context: 32 }),
    scores(textIds, fed) {
      const scores = new Float32Array(vocab);
      scores[5] = 3; // the second best, for what the processors leave
      scores[script[textIds.at(-1)!]?.[fed.length] ?? endId] = 4;
      return scores;
    },
  });
}

const row = (textIds: readonly number[], generation: GenerationRequest = {}): GenerationRow => ({
  prefix: new Float32Array(2),
  textIds,
  generation: resolveGeneration(generation),
});

describe("generate", () => {
  test("goes on to the end token, keeps it, and says so", async () => {
    const { decoder, calls } = scriptedDecoder({ 1: [3, 4] });
    const { rows } = await generate(decoder, [row([1])], { endIds: [endId] });
    expect(rows[0]?.sequences[0]).toMatchObject({ tokenIds: [3, 4, endId], finishReason: "stop" });
    expect(calls.fed).toEqual([[3], [4]]);
  });

  test("stops at max_new_tokens without running the model once more", async () => {
    const { decoder, calls } = scriptedDecoder({ 1: [3, 4, 3, 4] });
    const { rows } = await generate(decoder, [row([1], { max_new_tokens: 2 })], {
      endIds: [endId],
    });
    expect(rows[0]?.sequences[0]).toMatchObject({ tokenIds: [3, 4], finishReason: "length" });
    expect(calls.rowsPerStep).toEqual([1]);
  });

  test("an end token as the last allowed id counts as stop", async () => {
    const { decoder } = scriptedDecoder({ 1: [3] });
    const { rows } = await generate(decoder, [row([1], { max_new_tokens: 2 })], {
      endIds: [endId],
    });
    expect(rows[0]?.sequences[0].finishReason).toBe("stop");
  });

  test("log_prob is the mean log-softmax of the raw logits, end token included", async () => {
    const { decoder } = scriptedDecoder({ 1: [3] });
    const { rows } = await generate(decoder, [row([1], { repetition_penalty: 1.1 })], {
      endIds: [endId],
    });
    const each = 4 - Math.log(Math.exp(4) + Math.exp(3) + 4);
    expect(rows[0]?.sequences[0].logProb).toBeCloseTo(each, 12);
  });

  test("several rows are one batch; each leaves it when it ends", async () => {
    const { decoder, calls } = scriptedDecoder({ 1: [3], 2: [3, 4, 3], 4: [] });
    const { rows } = await generate(decoder, [row([1]), row([1, 2]), row([4])], {
      endIds: [endId],
      runSteps: 1,
    });
    expect(rows.map((each) => each.sequences[0].tokenIds)).toEqual([[3, 0], [3, 4, 3, 0], [0]]);
    expect(calls).toMatchObject({ joins: 1, rowsPerStep: [2, 1, 1] });
  });

  test("rows have settings of their own", async () => {
    const { decoder } = scriptedDecoder({ 1: [3, 4, 3], 2: [3, 4, 3] });
    const { rows } = await generate(decoder, [row([1], { max_new_tokens: 1 }), row([2])], {
      endIds: [endId],
    });
    expect(rows.map((each) => each.sequences[0].tokenIds)).toEqual([[3], [3, 4, 3, 0]]);
  });

  test("processors see the prompt with its image placeholders", async () => {
    // 5 stands in the image run, so the n-gram of size one bans it, and 3 once it has been said.
    const { decoder } = scriptedDecoder({ 1: [3, 3] });
    const { rows } = await generate(
      decoder,
      [row([1], { no_repeat_ngram_size: 1, max_new_tokens: 3 })],
      { endIds: [endId] },
    );
    // 3; then 3, 5 and 1 are banned and 0 is the first of the highest that are left.
    expect(rows[0]?.sequences[0].tokenIds).toEqual([3, 0]);
  });

  test("min_new_tokens holds the end token back", async () => {
    const { decoder } = scriptedDecoder({ 1: [] });
    const { rows } = await generate(decoder, [row([1], { min_new_tokens: 2 })], {
      endIds: [endId],
    });
    expect(rows[0]?.sequences[0].tokenIds).toEqual([5, 5, 0]);
  });

  test("what does not fit the context is refused with its numbers before anything runs", async () => {
    const { decoder, calls } = scriptedDecoder({});
    const long = row(Array.from({ length: 11 }, () => 1));
    await expect(generate(decoder, [long], { endIds: [endId] })).rejects.toMatchObject({
      code: "prompt_too_long",
      detail: expect.stringMatching(/takes 2 .* 11 and 20 .* 33 of 32/) as string,
    });
    expect(calls.joins).toBe(0);
    const fits = row(Array.from({ length: 10 }, () => 1));
    expect((await generate(decoder, [fits], { endIds: [endId] })).rows).toHaveLength(1);
  });

  test("a signal ends it between two steps", async () => {
    const { decoder, calls } = scriptedDecoder({ 1: [3, 4, 3, 4, 3] });
    const controller = new AbortController();
    const counting: typeof decoder = {
      ...decoder,
      openBatch: () => {
        const batch = decoder.openBatch();
        return {
          ...batch,
          get rows() {
            return batch.rows;
          },
          run: (...args) => {
            if (calls.rowsPerStep.length === 1) controller.abort(new Error("enough"));
            return batch.run(...args);
          },
        };
      },
    };
    const options = { endIds: [endId], signal: controller.signal, runSteps: 1 };
    await expect(generate(counting, [row([1])], options)).rejects.toThrow("enough");
    expect(calls.rowsPerStep).toHaveLength(2);
  });

  test("settings that ban every token are the caller's fault, bad numbers are not", async () => {
    const { decoder } = scriptedDecoder({ 1: [] });
    const onlyEnd = row([0, 1, 2, 3, 4, 1], { no_repeat_ngram_size: 1 });
    await expect(generate(decoder, [onlyEnd], { endIds: [endId] })).rejects.toMatchObject({
      code: "invalid_request",
    });
    for (const goodSteps of [0, 1, 2]) {
      const { decoder: broken } = decoderOfScores({
        vocab,
        endIds: [endId],
        promptIds: ({ textIds }) => textIds,
        scores: (_, fed) =>
          Float32Array.from({ length: vocab }, (_, id) => (fed.length < goodSteps ? id : NaN)),
      });
      await expect(generate(broken, [row([1])], { endIds: [endId] })).rejects.toMatchObject({
        code: "internal",
      });
    }
  });

  test("however many steps a run has, the texts are the same", async () => {
    const script = { 1: [3, 4, 3, 4, 2], 2: [4], 4: [2, 2, 2] };
    const rows = [
      row([1]),
      row([2], { min_new_tokens: 4 }),
      row([4], { max_new_tokens: 2 }),
      row([1], { num_beams: 3, max_new_tokens: 7 }),
      row([4], { do_sample: true, seed: 3, num_return_sequences: 2 }),
    ];
    const withRuns = async (some: readonly GenerationRow[], runSteps: number) =>
      (await generate(scriptedDecoder(script).decoder, some, { endIds: [endId], runSteps })).rows;
    const unaided = rows.slice(0, 3);
    const singly = await withRuns(rows, 1);
    for (const runSteps of [2, 3, 16]) {
      expect(await withRuns(rows, runSteps)).toEqual(singly);
      expect(await withRuns(unaided, runSteps)).toEqual(singly.slice(0, 3));
    }
  });

  test("a run ends when the last of its rows has, and asks for no more than is left", async () => {
    const { decoder, calls } = scriptedDecoder({ 1: [3, 4], 2: [3] });
    const options = { endIds: [endId], runSteps: 16 };
    await generate(decoder, [row([1]), row([2], { max_new_tokens: 3 })], options);
    expect(calls.rowsPerStep).toEqual([2, 2]);
    const { decoder: endless, calls: made } = scriptedDecoder({ 1: [3, 4, 3, 4, 3, 4] });
    await generate(endless, [row([1], { max_new_tokens: 4 })], options);
    expect(made.rowsPerStep).toEqual([1, 1, 1]);
  });
});
