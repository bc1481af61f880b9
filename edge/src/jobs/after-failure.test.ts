import { describe, expect, test } from "vitest";
import { AppError, problemKinds, type ProblemCode } from "@blip2-edge/shared/problem";
import { afterFailure, type RetryRules } from "./after-failure.ts";

const rules: RetryRules = {
  maxAttempts: 3,
  firstWaitMs: 1000,
  maxWaitMs: 5000,
  maxPauseMs: 60_000,
  random: () => 1,
};
const problem = (code: ProblemCode, retryAfterS?: number) =>
  new AppError(code, "", retryAfterS === undefined ? {} : { retryAfterS });

describe("what helps no waiting is recorded at once", () => {
  const permanent = (Object.keys(problemKinds) as ProblemCode[]).filter(
    (code) => !problemKinds[code].retryable && code !== "canceled",
  );
  test.each(permanent)("%s", (code) => {
    expect(afterFailure(problem(code), 1, rules)).toMatchObject({
      kind: "record",
      problem: { code },
    });
  });
  test("more than the whole quota", () => {
    expect(afterFailure(problem("quota_exceeded"), 1, rules).kind).toBe("record");
  });
});

test("what may be the item's own fault is tried again, twice as late each time, and recorded in the end", () => {
  const after = (attempts: number, more: Partial<RetryRules> = {}) =>
    afterFailure(problem("deadline_exceeded"), attempts, { ...rules, ...more });
  expect(after(1)).toEqual({ kind: "again", afterMs: 1000 });
  expect(after(2)).toEqual({ kind: "again", afterMs: 2000 });
  expect(after(3)).toMatchObject({ kind: "record", problem: { code: "deadline_exceeded" } });
  expect(after(9, { maxAttempts: 20 })).toEqual({ kind: "again", afterMs: 5000 });
  expect(after(2, { random: () => 0 })).toEqual({ kind: "again", afterMs: 1000 });
});

test("an error that is not a problem is internal, and is tried again", () => {
  expect(afterFailure(new Error("x"), 1, rules).kind).toBe("again");
  const last = afterFailure(new Error("x"), 3, rules);
  expect(last).toMatchObject({ kind: "record", problem: { code: "internal" } });
});

test("what every item would meet pauses the job, however often it comes", () => {
  expect(afterFailure(problem("node_unavailable", 2), 99, rules)).toEqual({
    ...{ kind: "pause", code: "node_unavailable", atLeastMs: 2000 },
  });
  // Midnight may be far, but the quota may be raised before.
  expect(afterFailure(problem("quota_exceeded", 40_000), 1, rules)).toEqual({
    ...{ kind: "pause", code: "quota_exceeded", atLeastMs: 60_000 },
  });
});

test("work that was broken off is given back", () => {
  expect(afterFailure(problem("canceled"), 99, rules)).toEqual({ kind: "return" });
});
