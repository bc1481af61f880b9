import { resolveGeneration } from "@blip2-edge/shared/contracts/generation";
import { describe, expect, test } from "vitest";
import { costOf, type JobShape, shapeOf } from "./job-cost.ts";
import type { EngineStats, GenerateJob, MatchJob } from "./messages.ts";

const fields = {
  model: "m",
  modelRevision: "r",
  priority: "interactive",
  deadlineMs: 1000,
  partition: "p",
  imageId: "i",
} as const;
const generate = (
  texts: GenerateJob["texts"],
  generation: Parameters<typeof resolveGeneration>[0],
): GenerateJob => ({
  kind: "generate",
  ...fields,
  texts,
  generation: resolveGeneration(generation),
  stream: false,
});
const match: MatchJob = { kind: "match", ...fields, texts: ["a", "b"], scores: ["itm"] };

describe("the shape of a job", () => {
  test("rows are texts times beams, or the sequences that are drawn", () => {
    const rows = (...args: Parameters<typeof generate>) => shapeOf(generate(...args), true).rows;
    expect(rows([null], {})).toBe(1);
    expect(rows([null, "a"], { num_beams: 5, num_return_sequences: 3 })).toBe(10);
    expect(rows([null, "a"], { do_sample: true, num_return_sequences: 3 })).toBe(6);
  });
  test("steps are what may be generated at most, however its length was asked for", () => {
    const steps = (...args: Parameters<typeof generate>) => shapeOf(generate(...args), true).steps;
    expect(steps([null], {})).toBe(20);
    expect(steps([null], { max_new_tokens: 64 })).toBe(64);
    expect(steps([null], { max_length: 50 })).toBe(50);
    expect(steps([null], { max_length: 2048 })).toBe(256);
  });
  test("longer prompts and more of them are more to read", () => {
    const tokens = (texts: (string | null)[]) => shapeOf(generate(texts, {}), true).prefillTokens;
    expect(tokens(["a".repeat(300)])).toBeGreaterThan(tokens(["a"]) + 90);
    expect(tokens([null, null])).toBe(2 * tokens([null]));
    expect(tokens([null])).toBeGreaterThan(32);
  });
  test("an image costs a pass unless it is held; texts alone never do", () => {
    expect(shapeOf(match, false).visionPasses).toBe(1);
    expect(shapeOf(match, true).visionPasses).toBe(0);
    const { partition: _, imageId: __, scores: ___, ...rest } = match;
    const texts = { ...rest, kind: "embed_texts", features: "query" } as const;
    expect(shapeOf(texts, false)).toMatchObject({ visionPasses: 0, steps: 0 });
  });
});

describe("its cost", () => {
  const stats: EngineStats = {
    queuedMs: 0,
    costs: { visionMs: 2000, prefillMsPerToken: 10, decodeMsPerStep: 100 },
    batchRows: 4,
  };
  const shape: JobShape = { visionPasses: 1, prefillTokens: 30, rows: 2, steps: 20 };

  test("is its share of full batches; alone it takes all its steps", () => {
    expect(costOf(shape, stats)).toEqual({ workMs: 3300, aloneMs: 4300 });
    expect(costOf({ ...shape, rows: 6 }, stats)).toEqual({ workMs: 5300, aloneMs: 6300 });
  });
  test("what is not measured yet is guessed, what is replaces the guess", () => {
    const guess = costOf(shape, undefined);
    expect(guess.workMs).toBeGreaterThan(0);
    const some = costOf(shape, { queuedMs: 0, costs: { visionMs: 2000 }, batchRows: 8 });
    expect(some.workMs).toBeGreaterThan(1900 + guess.workMs);
    expect(some.workMs).toBeLessThan(2000 + guess.workMs);
  });
  test("a guess refuses nobody who asks for little", () => {
    const all = costOf(shapeOf(generate([null], {}), false), undefined);
    expect(all.aloneMs).toBeLessThan(500);
  });
});
