import { expect, test } from "vitest";
import { claims } from "./claims.ts";

test("the first takes it, and another only when its time is over or too many came since", () => {
  let now = 0;
  const taken = claims({ ttlMs: 10, maxEntries: 2, now: () => now });
  expect([taken.take("a"), taken.take("a"), taken.take("b")]).toEqual([true, false, true]);
  now = 10;
  expect([taken.take("a"), taken.take("a")]).toEqual([true, false]);
  taken.take("c");
  taken.take("d");
  expect(taken.take("a")).toBe(true);
});
