import fc from "fast-check";
import { expect, test } from "vitest";
import { requestCounter } from "./rate.ts";

test("a window begins with its first request and ends 60 s later", () => {
  let time = 5000;
  const count = requestCounter({ now: () => time });
  expect(count("a", 2)).toEqual({ allowed: true, remaining: 1, resetS: 60 });
  time += 30_500;
  expect(count("a", 2)).toEqual({ allowed: true, remaining: 0, resetS: 30 });
  expect(count("a", 2)).toEqual({ allowed: false, remaining: 0, resetS: 30 });
  expect(count("b", 2).allowed).toBe(true);
  time += 29_499;
  expect(count("a", 2)).toEqual({ allowed: false, remaining: 0, resetS: 1 });
  time += 1;
  expect(count("a", 2)).toEqual({ allowed: true, remaining: 1, resetS: 60 });
});

test("whoever waits as long as it is told is served, and no window has more than the limit", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5 }),
      fc.array(fc.integer({ min: 0, max: 30_000 }), { maxLength: 40 }),
      (limit, pauses) => {
        let time = 0;
        const count = requestCounter({ now: () => time });
        let [begun, served] = [-Infinity, 0];
        for (const pause of pauses) {
          time += pause;
          let state = count("a", limit);
          if (!state.allowed) {
            time += state.resetS * 1000;
            state = count("a", limit);
          }
          expect(state.allowed).toBe(true);
          if (time - begun >= 60_000) [begun, served] = [time, 0];
          served += 1;
          expect(served).toBeLessThanOrEqual(limit);
        }
      },
    ),
  );
});

test("the memory is bounded: the oldest window is forgotten", () => {
  const count = requestCounter({ maxKeys: 2, now: () => 0 });
  for (const key of ["a", "b", "c"]) count(key, 1);
  expect(count("b", 1).allowed).toBe(false);
  expect(count("a", 1).allowed).toBe(true);
});
