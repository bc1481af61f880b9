import { expect, test } from "vitest";
import { rungOf } from "./served.ts";

test("the rung is that of the dearest thing that was done", () => {
  const rungs = [
    [undefined, undefined, undefined],
    ["stale", undefined, undefined],
    [undefined, "hit", "cache"],
    ["fresh", "hit", "cache"],
    ["revalidated", "hit", "revalidated"],
    ["stale", "hit", "stale"],
    ["stale", "collapsed", "shared"],
    ["revalidated", "miss", "live"],
    [undefined, "partial", "live"],
    [undefined, "bypass", "live"],
    [undefined, "no-store", "live"],
  ] as const;
  for (const [address, results, rung] of rungs) expect(rungOf({ address, results })).toBe(rung);
});
