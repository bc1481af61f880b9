import fc from "fast-check";
import { expect, test } from "vitest";
import { memorySql } from "../../../test/support/sqlite.ts";
import { createRoster, type Announced } from "./roster.ts";

const beat = (
  seq: number,
  more: Partial<Announced["heartbeat"]> = {},
  url = "https://a",
): Announced => ({
  url,
  keyId: "a",
  heartbeat: {
    ...{ url, version: "1", started_at: 1000, seq, state: "ready", models: [] },
    capacity: { weight: 1, max_jobs: 10, max_work_ms: 1000 },
    load: { jobs: 0, work_ms: 0 },
    ...more,
  },
});
const aliveMs = 100;

test("a node is listed while it is heard of, and no longer", () => {
  const roster = createRoster(memorySql());
  expect(roster.list(0)).toEqual([]);
  expect(roster.hear(beat(1), aliveMs, 0)).toBe("heard");
  expect(roster.list(40)).toEqual([{ ...beat(1), agoMs: 40 }]);
  expect(roster.list(99)).toHaveLength(1);
  expect(roster.list(100)).toEqual([]);
  expect(roster.hear(beat(2), aliveMs, 200)).toBe("heard");
  expect(roster.list(299)).toHaveLength(1);
});

test("a node that leaves is gone at once, and comes back as another process", () => {
  const roster = createRoster(memorySql());
  roster.hear(beat(1), aliveMs, 0);
  expect(roster.hear(beat(2, { state: "leaving" }), aliveMs, 10)).toBe("heard");
  expect(roster.list(10)).toEqual([]);
  expect(roster.hear(beat(1), aliveMs, 20)).toBe("stale");
  expect(roster.hear(beat(1, { started_at: 2000 }), aliveMs, 30)).toBe("heard");
  expect(roster.list(30)).toHaveLength(1);
});

test("who is alive at an origin, who was, and what is forgotten with its key", () => {
  const roster = createRoster(memorySql());
  roster.hear(beat(1), aliveMs, 0);
  roster.hear({ ...beat(1, {}, "https://b"), keyId: "b" }, aliveMs, 50);
  expect([roster.holderOf("https://a", 99), roster.holderOf("https://a", 100)]).toEqual([
    "a",
    undefined,
  ]);
  expect(roster.known(120).map(({ url, alive, agoMs }) => [url, alive, agoMs])).toEqual([
    ["https://a", false, 120],
    ["https://b", true, 70],
  ]);
  roster.forget(["b", "unknown"]);
  expect(roster.known(120).map(({ url }) => url)).toEqual(["https://a"]);
});

test("whatever is heard in whatever order: none twice, none after a later one, over restarts too", () => {
  const heard = fc.record({
    started_at: fc.integer({ min: 1, max: 3 }),
    seq: fc.integer({ min: 1, max: 5 }),
    restart: fc.boolean(),
    leaves: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(heard, { maxLength: 60 }), (beats) => {
      const sql = memorySql();
      let roster = createRoster(sql);
      let last = 0;
      for (const [now, { started_at, seq, restart, leaves }] of beats.entries()) {
        if (restart) roster = createRoster(sql);
        const order = started_at * 10 + seq;
        const state = leaves ? "leaving" : "ready";
        const told = roster.hear(beat(seq, { started_at, state }), aliveMs, now);
        expect(told).toBe(order > last ? "heard" : "stale");
        last = Math.max(last, order);
      }
    }),
  );
});

test("is bounded, and forgets nodes that are long gone", () => {
  const roster = createRoster(memorySql());
  for (let at = 0; at < 500; at++) roster.hear(beat(1, {}, `https://n${at}`), aliveMs, 0);
  expect(roster.hear(beat(1, {}, "https://more"), aliveMs, 0)).toBe("full");
  expect(roster.hear(beat(2, {}, "https://n7"), aliveMs, 0)).toBe("heard");
  expect(roster.hear(beat(1, {}, "https://more"), aliveMs, 301_000)).toBe("heard");
  expect(roster.list(301_000).map(({ url }) => url)).toEqual(["https://more"]);
});
