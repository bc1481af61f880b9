import { resolveGeneration, type GenerationRequest } from "@blip2-edge/shared/contracts/generation";
import { describe, expect, test } from "vitest";
import { checkContext } from "./context-limit.ts";
import type { Decoder, PromptRow } from "./decoder.ts";
import { generate, type GenerationRow } from "./generate.ts";

const endId = 0;
const vocab = 6;

/** A model that says its script: after the text id t and n generated ids it prefers script[t][n]. */
function scriptedDecoder(script: Record<number, readonly number[]>) {
  interface State {
    readonly rows: readonly { readonly text: number; readonly fed: readonly number[] }[];
  }
  const calls: { prefills: number; stepRows: number[]; fed: number[][] } = {
    prefills: 0,
    stepRows: [],
    fed: [],
  };
  const answer = (rows: State["rows"]) => {
    const logits = new Float32Array(rows.length * vocab);
    rows.forEach((row, at) => {
      const wanted = script[row.text]?.[row.fed.length] ?? endId;
      logits[at * vocab + wanted] = 4;
      logits[at * vocab + 5] = 3; // the second best, for what the processors leave
    });
    return { logits, state: { rows } };
  };
  const decoder: Decoder<State> = {
    vocab,
    promptIds: ({ textIds }) => [5, 5, ...textIds],
    checkContext: ({ textIds }, maxNewTokens) =>
      checkContext({ imageTokens: 2, textTokens: textIds.length, maxNewTokens, context: 32 }),
    prefill: (rows: readonly PromptRow[]) => {
      calls.prefills += 1;
      return Promise.resolve(answer(rows.map((row) => ({ text: row.textIds.at(-1)!, fed: [] }))));
    },
    decodeStep: (state, ids) => {
      calls.stepRows.push(ids.length);
      calls.fed.push([...ids]);
      return Promise.resolve(
        answer(state.rows.map((row, at) => ({ ...row, fed: [...row.fed, ids[at]!] }))),
      );
    },
    selectRows: (state, rows) => ({ rows: rows.map((row) => state.rows[row]!) }),
  };
  return { decoder, calls };
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
    expect(calls.stepRows).toEqual([1]);
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
    });
    expect(rows.map((each) => each.sequences[0].tokenIds)).toEqual([[3, 0], [3, 4, 3, 0], [0]]);
    expect(calls).toMatchObject({ prefills: 1, stepRows: [2, 1, 1] });
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
    expect(calls.prefills).toBe(0);
    const fits = row(Array.from({ length: 10 }, () => 1));
    expect((await generate(decoder, [fits], { endIds: [endId] })).rows).toHaveLength(1);
  });

  test("a signal ends it between two steps", async () => {
    const { decoder, calls } = scriptedDecoder({ 1: [3, 4, 3, 4, 3] });
    const controller = new AbortController();
    const counting: typeof decoder = {
      ...decoder,
      decodeStep: (state, ids) => {
        if (calls.stepRows.length === 1) controller.abort(new Error("enough"));
        return decoder.decodeStep(state, ids);
      },
    };
    const run = generate(counting, [row([1])], { endIds: [endId], signal: controller.signal });
    await expect(run).rejects.toThrow("enough");
    expect(calls.stepRows).toHaveLength(2);
  });

  test("settings that ban every token are the caller's fault, bad numbers are not", async () => {
    const { decoder } = scriptedDecoder({ 1: [] });
    const onlyEnd = row([0, 1, 2, 3, 4, 1], { no_repeat_ngram_size: 1 });
    await expect(generate(decoder, [onlyEnd], { endIds: [endId] })).rejects.toMatchObject({
      code: "invalid_request",
    });
    const broken: typeof decoder = {
      ...decoder,
      prefill: async (rows) => ({
        ...(await decoder.prefill(rows)),
        logits: new Float32Array(vocab).fill(NaN),
      }),
    };
    await expect(generate(broken, [row([1])], { endIds: [endId] })).rejects.toMatchObject({
      code: "internal",
    });
  });
});
