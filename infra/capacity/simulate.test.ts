// The simulator against what is known of queues, with the product's own engine and fleet in the place of the server: one
// at a time with service times that are all alike (M/D/1), exponential (M/M/1), and at several nodes that take one call each
// (M/M/c); formulas as in Kleinrock, "Queueing Systems" I, 1975. Every run has its seed, so none fails by chance.
import { expect, test } from "vitest";
import { createRandom } from "../../gpu-node/src/generate/random.ts";
import { timedProfile } from "../../test/support/timed-profile.ts";
import { requestMixSchema } from "./request-mix.ts";
import { simulate, type SimulationOptions } from "./simulate.ts";

const serviceMs = 1000;
const profile = timedProfile({
  match_ms: [[1, 25]],
  embed_texts_ms: [[1, serviceMs]],
  // Nobody is turned away.
  max_queue_seconds: 1_000_000,
  max_queue: 1_000_000,
});
/** Every search is another one. */
const searches = requestMixSchema.parse({
  format: "blip2-edge/request-mix/v1",
  tasks: { search: 1 },
  pictures: { count: 1, zipf: 0 },
  searches: { count: 1_000_000, zipf: 0 },
});
const mixed = requestMixSchema.parse({
  format: "blip2-edge/request-mix/v1",
  tasks: { caption: 0.6, vqa: 0.2, match: 0.2 },
  fresh_pictures: 0.3,
  pictures: { count: 300, zipf: 0.9 },
});
const edge = { hitMs: 0, farMs: 0, missMs: 0, toNodeMs: 0 };

/** The mean, and its standard error by the means of twenty batches, since neighbours wait for each other. */
async function meanOf(options: Partial<SimulationOptions> & { readonly perS: number }) {
  const { perS, ...more } = options;
  const took: number[] = [];
  const report = await simulate({
    ...{
      profile,
      mix: searches,
      nodes: 1,
      edge,
      load: { kind: "open", perS },
      seconds: 2000 / perS,
    },
    timeoutMs: 600_000,
    onServed: (ms) => void took.push(ms),
    ...more,
  });
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  const size = Math.floor(took.length / 20);
  const batches = Array.from({ length: 20 }, (_, at) =>
    mean(took.slice(at * size, (at + 1) * size)),
  );
  const middle = mean(batches);
  const variance = mean(batches.map((batch) => (batch - middle) ** 2)) * (20 / 19);
  return { mean: mean(took), error: Math.sqrt(variance / 20), report };
}

const exponential = (seed: number) => {
  const random = createRandom(seed, 9);
  return (ms: number): number => -Math.log(1 - random()) * ms;
};
/** Erlang's formula C: the probability that all are taken. */
function allTaken(servers: number, offered: number): number {
  let term = 1;
  let sum = 1;
  for (let k = 1; k < servers; k += 1) sum += term *= offered / k;
  const last = ((term * offered) / servers) * (servers / (servers - offered));
  return last / (sum + last);
}

test("M/D/1 at a load of 0.7", async () => {
  const load = 0.7;
  const { mean, error } = await meanOf({ perS: (load / serviceMs) * 1000 });
  const expected = serviceMs * (1 + load / (2 * (1 - load)));
  expect(error / expected).toBeLessThan(0.1);
  expect(Math.abs(mean - expected)).toBeLessThan(3 * error);
});

test("M/M/1 at a load of 0.6", async () => {
  const { mean, error } = await meanOf({ perS: 600 / serviceMs, vary: exponential(5) });
  const expected = serviceMs / (1 - 0.6);
  expect(error / expected).toBeLessThan(0.1);
  expect(Math.abs(mean - expected)).toBeLessThan(3 * error);
});

test("M/M/3 at a load of 0.7, where a node takes one call and the others wait at the edge", async () => {
  const [servers, load] = [3, 0.7];
  const { mean, error } = await meanOf({
    ...{ perS: (servers * load * 1000) / serviceMs, nodes: servers, vary: exponential(6) },
    policy: { maxInFlight: 1, hedgeShare: 0, slowFactor: 1e9 },
    queueMs: 1e9,
  });
  const waits = (allTaken(servers, servers * load) * serviceMs) / (servers * (1 - load));
  // A place that is free is seen within 50 ms.
  const expected = serviceMs + waits;
  expect(error / expected).toBeLessThan(0.1);
  expect(Math.abs(mean - expected)).toBeLessThan(3 * error + 50);
});

test("every request has one end, and the same seed gives the same run", async () => {
  const run = (seed: number) =>
    simulate({
      ...{ profile, mix: mixed, nodes: 2, seconds: 30, seed, isolates: 2, places: 2 },
      edge: { hitMs: 5, farMs: 10, missMs: 20, toNodeMs: 2 },
      load: { kind: "open", perS: 12 },
    });
  const report = await run(3);
  const failed = Object.values(report.failed).reduce((sum, count) => sum + count, 0);
  expect(report.answered + failed).toBe(report.requests);
  expect(report.requests / 30).toBeGreaterThan(9);
  // Little's law for servers: what nodes were busy with is what their calls took.
  for (const busy of report.busy) expect(busy).toBeGreaterThan(0.2);
  for (const busy of report.busy) expect(busy).toBeLessThanOrEqual(1);
  expect(report.hitRate).toBeGreaterThan(0.1);
  expect(report.nodeCallsPerS).toBeLessThan(12 * (1 - report.hitRate) + 1);
  expect(await run(3)).toEqual(report);
  expect(await run(4)).not.toEqual(report);
});

test("more callers than a node can serve get what it can give, and refusals say when to come back", async () => {
  const tight = { ...profile, max_queue_seconds: 2 };
  const over = await simulate({
    ...{ profile: tight, mix: mixed, nodes: 1, edge, seconds: 60 },
    load: { kind: "open", perS: 40 },
  });
  expect(over.failed["overloaded"]).toBeGreaterThan(100);
  expect(over.busy[0]).toBeGreaterThan(0.95);
  const closed = await simulate({
    ...{ profile, mix: mixed, nodes: 1, edge, seconds: 60 },
    load: { kind: "closed", callers: 16 },
  });
  expect(closed.failed).toEqual({});
  // Sixteen at a time: Little's law.
  const inside = (closed.perS * closed.liveMs.p50) / 1000;
  expect(inside).toBeGreaterThan(6);
  expect(inside).toBeLessThan(30);
});
