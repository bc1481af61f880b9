import fc from "fast-check";
import { expect, test } from "vitest";
import { createBudget } from "./budget.ts";

const windowMs = 10_000;

test("in any window no more is taken than its share, or the floor", () => {
  const events = fc.array(
    fc.record({ afterMs: fc.nat(800), calls: fc.nat(30), wishes: fc.nat(10) }),
    { minLength: 1, maxLength: 120 },
  );
  const options = fc.record({
    share: fc.constantFrom(0.05, 0.1, 0.5),
    perS: fc.constantFrom(0, 0.5, 2),
  });
  fc.assert(
    fc.property(events, options, (list, { share, perS }) => {
      const budget = createBudget({ share, perS, windowMs });
      const calls: number[] = [];
      const taken: number[] = [];
      let now = 1_700_000_000_000;
      for (const { afterMs, calls: arrive, wishes } of list) {
        now += afterMs;
        for (let at = 0; at < arrive; at++) {
          budget.deposit(now);
          calls.push(now);
        }
        for (let at = 0; at < wishes; at++) if (budget.take(now)) taken.push(now);
      }
      // A slot's width more on either side: the window moves in steps.
      const within = (all: readonly number[], end: number, ms: number): number =>
        all.filter((at) => at > end - ms && at <= end).length;
      for (const end of taken) {
        const allowed = Math.max(
          (perS * windowMs) / 1000,
          share * within(calls, end, 1.1 * windowMs),
        );
        expect(within(taken, end, windowMs)).toBeLessThanOrEqual(allowed);
      }
    }),
  );
});

test("the floor is there before any call, the share grows with them, and both come back", () => {
  const budget = createBudget({ share: 0.1, perS: 1, windowMs });
  const takeAll = (now: number): number => {
    let taken = 0;
    while (taken < 1000 && budget.take(now)) taken += 1;
    return taken;
  };
  expect(takeAll(0)).toBe(10);
  for (let at = 0; at < 300; at++) budget.deposit(1000);
  expect(takeAll(1000)).toBe(20);
  budget.spend(1000);
  expect(takeAll(1000)).toBe(0);
  expect(takeAll(30_000)).toBe(10);
});
