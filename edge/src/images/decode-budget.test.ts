import { describe, expect, test } from "vitest";
import { decodeBudget } from "./decode-budget.ts";

const never = new AbortController().signal;

/** A clock that moves when someone sleeps. */
function clock() {
  let at = 0;
  return {
    now: () => at,
    sleep: (ms: number) => {
      at += ms;
      return new Promise<void>((resolve) => setImmediate(resolve));
    },
  };
}

describe("decodeBudget", () => {
  test("never holds more than its bytes, however many ask", async () => {
    const budget = decodeBudget({ maxBytes: 100, waitMs: 60_000, ...clock(), leaseMs: 1e9 });
    let high = 0;
    const one = (bytes: number) =>
      budget.run(bytes, never, async () => {
        high = Math.max(high, budget.reserved());
        await new Promise((resolve) => setImmediate(resolve));
      });
    await Promise.all(Array.from({ length: 40 }, (_, index) => one(20 + (index % 4) * 20)));
    expect(high).toBeLessThanOrEqual(100);
    expect(high).toBeGreaterThan(40);
    expect(budget.reserved()).toBe(0);
  });

  test("one that is larger than the budget runs alone", async () => {
    const budget = decodeBudget({ maxBytes: 100, waitMs: 0 });
    await budget.run(500, never, () => Promise.resolve());
    await expect(
      budget.run(1, never, () => budget.run(500, never, () => Promise.resolve())),
    ).rejects.toMatchObject({ code: "overloaded", retryAfterS: 1 });
  });

  test("a failure frees its bytes; a caller that is gone does not wait", async () => {
    const budget = decodeBudget({ maxBytes: 100, waitMs: 1000 });
    await expect(budget.run(100, never, () => Promise.reject(new Error("broken")))).rejects.toThrow(
      "broken",
    );
    const gone = AbortSignal.abort(new Error("gone"));
    await budget.run(100, never, async () => {
      await expect(budget.run(1, gone, () => Promise.resolve())).rejects.toThrow("gone");
    });
    expect(budget.reserved()).toBe(0);
  });

  test("a request that vanished with its reservation does not keep it", async () => {
    let at = 0;
    const budget = decodeBudget({ maxBytes: 100, waitMs: 0, leaseMs: 50, now: () => at });
    void budget.run(100, never, () => new Promise(() => {}));
    await expect(budget.run(100, never, () => Promise.resolve())).rejects.toThrow();
    at = 50;
    await budget.run(100, never, () => Promise.resolve());
  });
});
