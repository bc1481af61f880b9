// From one node to many, from rates to money: each step against what it must give.
import { expect, test } from "vitest";
import { timedProfile } from "../../test/support/timed-profile.ts";
import { costAt } from "./cost.ts";
import { hitRate } from "./hit-rate.ts";
import { readProfile, timeAt } from "./node-profile.ts";
import { capacityOfOne, keeps, nodesFor } from "./plan.ts";
import { pricesFrom, priceOf, publishedPrices } from "./prices.ts";
import { arrivalsOf, requestMixSchema, requestsOf, zipfShares } from "./request-mix.ts";

const mixOf = (more: object = {}) =>
  requestMixSchema.parse({
    format: "blip2-edge/request-mix/v1",
    tasks: { caption: 0.5, vqa: 0.5 },
    fresh_pictures: 0.1,
    pictures: { count: 200, zipf: 0.9 },
    questions: { count: 3, zipf: 1 },
    ...more,
  });
const profile = timedProfile();

test("times between two sizes lie on the line, beyond them they go on", () => {
  const points: [number, number][] = [
    [1, 10],
    [3, 20],
    [5, 50],
  ];
  expect([0.5, 1, 2, 3, 4, 5, 7].map((size) => timeAt(points, size))).toEqual([
    10, 10, 15, 20, 35, 50, 80,
  ]);
  expect(timeAt([[2, 10]], 6)).toBe(30);
});

test("what blip2 bench wrote is a profile", () => {
  const stage = (name: string, batch: number, seconds: number) => ({ stage: name, batch, seconds });
  const read = readProfile({
    format: "blip2-edge/bench/v1",
    machine: { cpu: "Zen", cores: 2 },
    settings: { provider: "cpu" },
    artifact: { name: "nano", precision: "mixed" },
    stages: [
      ...[stage("vision", 1, 1), stage("vision", 8, 8), stage("qformer", 1, 0.1)],
      ...[stage("qformer", 8, 0.5), stage("prefill", 1, 0.2), stage("prefill", 8, 1)],
      ...[stage("decode", 8, 0.2), stage("decode", 1, 0.1)],
    ],
  });
  expect(read.look_ms).toEqual([
    [1, 1100],
    [8, 8500],
  ]);
  expect(read.prefill_ms).toEqual([
    [33, 200],
    [264, 1000],
  ]);
  expect(read.step_ms).toEqual([
    [1, 100],
    [8, 200],
  ]);
  expect(() => readProfile({ format: "else" })).toThrow();
});

test("pictures are asked about as often as Zipf says, arrivals come as often as they should", () => {
  const mix = mixOf({ tasks: { caption: 1 }, fresh_pictures: 0.25 });
  const next = requestsOf(mix, 7);
  const counts = new Map<number, number>();
  const total = 40_000;
  for (let at = 0; at < total; at += 1) {
    const { picture = 0 } = next();
    counts.set(picture, (counts.get(picture) ?? 0) + 1);
  }
  const shares = zipfShares(mix.pictures);
  for (const rank of [0, 1, 9]) {
    const expected = (shares[rank] ?? 0) * 0.75 * total;
    expect(Math.abs((counts.get(rank) ?? 0) - expected)).toBeLessThan(4 * Math.sqrt(expected));
  }
  const fresh = [...counts].filter(([picture]) => picture < 0);
  expect(fresh.every(([, count]) => count === 1)).toBe(true);
  expect(fresh.length / total).toBeCloseTo(0.25, 1);
  for (const burst of [1, 2.5]) {
    const wait = arrivalsOf(mixOf({ burst }), 20, 7);
    const seconds = Array.from({ length: total }, wait).reduce((sum, each) => sum + each, 0);
    expect(total / seconds).toBeGreaterThan(19);
    expect(total / seconds).toBeLessThan(21);
  }
});

test.each([
  ["soon forgotten", 30],
  ["long kept", 3000],
])("the formula finds what a cache finds: %s", (_, ttlS) => {
  const [mix, perS] = [mixOf(), 5];
  const [next, wait] = [requestsOf(mix, 11), arrivalsOf(mix, perS, 11)];
  const storedAt = new Map<string, number>();
  let now = 0;
  let [hits, asked] = [0, 0];
  while (now < 4 * ttlS + 20_000) {
    now += wait();
    const { key } = next();
    const isHit = now - (storedAt.get(key) ?? Number.NEGATIVE_INFINITY) < ttlS;
    if (!isHit) storedAt.set(key, now);
    if (now < ttlS) continue;
    asked += 1;
    hits += Number(isHit);
  }
  expect(Math.abs(hits / asked - hitRate(mix, perS, ttlS))).toBeLessThan(0.01);
});

test("one node takes so much, and so many nodes take more", async () => {
  const fixed = {
    ...{ profile, mix: mixOf({ fresh_pictures: 0.6 }), requests: 150 },
    edge: { hitMs: 5, farMs: 0, missMs: 10, toNodeMs: 1 },
  };
  const bounds = { p99Ms: 1500, failing: 0 };
  const one = await capacityOfOne(fixed, bounds);
  expect(keeps(one.report, bounds)).toBe(true);
  // Between one after another and full batches.
  expect(one.callsPerS).toBeGreaterThan(2);
  expect(one.callsPerS).toBeLessThan(30);
  const { nodes } = await nodesFor(one.perS * 1.8, fixed, bounds);
  expect(nodes).toBe(2);
  const searching = { ...fixed, mix: mixOf({ tasks: { search: 1 } }) };
  await expect(capacityOfOne(searching, bounds)).rejects.toThrow("no embed_texts_ms");
  await expect(capacityOfOne(fixed, { p99Ms: 100, failing: 0 })).rejects.toThrow(RangeError);
});

test("what is included costs nothing, what is given in place of a price counts", () => {
  expect(priceOf(publishedPrices, { worker_requests: 10_000_000 }).worker_requests).toBe(0);
  expect(priceOf(publishedPrices, { worker_requests: 12_000_000 }).worker_requests).toBeCloseTo(
    0.6,
  );
  const mine = pricesFrom({ units: { kv_writes: { per: 1, price: 2, included: 3 } } });
  expect(priceOf(mine, { kv_writes: 5 }).kv_writes).toBe(4);
  expect(mine.units.kv_reads).toEqual(publishedPrices.units.kv_reads);
  expect(() => pricesFrom({ units: { kv_wishes: { per: 1, price: 2, included: 3 } } })).toThrow();
});

test("costs grow with the rate, a request's share of them does not, and answers are found more often", () => {
  const at = (perS: number) =>
    costAt(perS, {
      ...{ mix: mixOf(), prices: publishedPrices, boxPrice: 100, callsPerNode: 5, ttlS: 86_400 },
      ...{ places: 4, cpuMs: { hit: 1, miss: 50 }, liveS: 1, spareNodes: 1 },
    });
  const rows = [1, 10, 100, 1000].map(at);
  for (const [index, row] of rows.entries()) {
    const before = rows[index - 1];
    expect(row.total).toBeCloseTo(row.edge + row.boxes);
    expect(row.nearRate).toBeLessThanOrEqual(row.hitRate);
    if (before === undefined) continue;
    expect(row.total).toBeGreaterThan(before.total);
    expect(row.perThousand).toBeLessThan(before.perThousand);
    expect(row.hitRate).toBeGreaterThan(before.hitRate);
  }
  expect(at(1000).nodes).toBe(Math.ceil(at(1000).callsPerS / 5) + 1);
});
