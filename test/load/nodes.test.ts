// What the failure policy promises, held against 20,000 calls and more each: the Worker's own asking of
// nodes, before scripted nodes, in virtual time.
import { AppError } from "@blip2-edge/shared/problem";
import { beforeAll, describe, expect, test } from "vitest";
import { NodeGone } from "../../edge/src/nodes/exchange.ts";
import {
  logNormal,
  quantile,
  scriptedFleet,
  type ScriptedFleet,
  type ScriptedOptions,
  type Served,
} from "../support/scripted-fleet.ts";

const nodes = ["http://a", "http://b", "http://c", "http://d"];
const callsPerS = 250;
const usual = (random: () => number): number => logNormal(100, 0.3, random);

async function run(options: Omit<ScriptedOptions, "nodes">, seconds: number) {
  const fleet = scriptedFleet({ nodes, ...options });
  await fleet.load(callsPerS, seconds * 1000);
  expect(fleet.served.length).toBeGreaterThan(20_000);
  return fleet;
}
const latencies = (served: readonly Served[]): number[] => served.map(({ tookMs }) => tookMs);
const failures = ({ served }: ScriptedFleet): Served[] =>
  served.filter(({ reply }) => reply === undefined);
const hedged = (served: readonly Served[]): number =>
  served.filter(({ reply }) => reply?.second === "hedge").length / served.length;
const extraCalls = ({ callsOut, served }: ScriptedFleet): number =>
  callsOut.length / served.length - 1;

describe("every node answers 1 % of calls 20 times slower", () => {
  const script: ScriptedOptions["script"] = (_node, _at, random) => ({
    answersAfterMs: usual(random) * (random() < 0.01 ? 20 : 1),
  });

  test("hedging makes p99.9 five times better at 5 % more calls", async () => {
    const without = await run({ script, policy: { hedgeShare: 0 } }, 100);
    const withHedges = await run({ script }, 100);
    const figures = {
      p999_without_ms: quantile(latencies(without.served), 0.999),
      p999_with_ms: quantile(latencies(withHedges.served), 0.999),
      extra_calls: extraCalls(withHedges),
    };
    console.log("slow calls:", figures);
    expect(failures(without)).toEqual([]);
    expect(failures(withHedges)).toEqual([]);
    expect(extraCalls(without)).toBe(0);
    expect([...without.everOut, ...withHedges.everOut]).toEqual([]);
    expect(figures.extra_calls).toBeLessThanOrEqual(0.05);
    expect(figures.p999_without_ms / figures.p999_with_ms).toBeGreaterThanOrEqual(5);
  });
});

describe("one node of four is permanently slow", () => {
  const healthy: ScriptedOptions["script"] = (_node, _at, random) => ({
    answersAfterMs: usual(random),
  });

  let base: ScriptedFleet;
  beforeAll(async () => {
    base = await run({ script: healthy }, 100);
  });

  test.each([3.5, 20])("%s times", async (factor) => {
    const turnsSlowMs = 20_000;
    const script: ScriptedOptions["script"] = (node, at, random) => ({
      answersAfterMs: usual(random) * (node === "http://b" && at >= turnsSlowMs ? factor : 1),
    });
    const fleet = await run({ script }, 100);
    const from = turnsSlowMs + 10_000;
    const minute = (served: readonly Served[]) =>
      served.filter(({ at }) => at >= from && at < from + 60_000);
    const toSlow = fleet.callsOut.filter(({ node }) => node === "http://b");
    const figures = {
      p99_healthy_ms: quantile(latencies(minute(base.served)), 0.99),
      p99_ms: quantile(latencies(minute(fleet.served)), 0.99),
      hedged: hedged(fleet.served),
      extra_calls: extraCalls(fleet),
      left_after_ms: (toSlow.findLast(({ at }) => at < from)?.at ?? Number.NaN) - turnsSlowMs,
      share_of_slow_node:
        toSlow.filter(({ at }) => at >= from && at < from + 60_000).length /
        minute(fleet.served).length,
    };
    console.log(`a node ${factor} times slower:`, figures);
    expect(failures(fleet)).toEqual([]);
    expect(figures.share_of_slow_node).toBeLessThan(0.01);
    expect([...fleet.everOut]).toEqual(["http://b"]);
    expect(figures.hedged).toBeLessThanOrEqual(0.05);
    expect(figures.p99_ms / figures.p99_healthy_ms).toBeLessThanOrEqual(1.5);
  });
});

describe("all nodes down", () => {
  const gone = () => new NodeGone("a proxy says 502");
  test.each<[string, ReturnType<ScriptedOptions["script"]>]>([
    ["connections are refused", { breaksAfterMs: 1 }],
    [
      "engines end under every call",
      { failsAfterMs: 50, error: new AppError("engine_restarted", "") },
    ],
    ["every answer is a fault", { failsAfterMs: 5, error: gone() }],
  ])("%s: at most 1.1 calls out per call in", async (what, act) => {
    const fleet = await run({ script: () => act }, 90);
    console.log(`all down, ${what}:`, {
      calls_out_per_call_in: fleet.callsOut.length / fleet.served.length,
      checks: fleet.checks,
    });
    expect(failures(fleet)).toHaveLength(fleet.served.length);
    expect(extraCalls(fleet)).toBeLessThanOrEqual(0.1);
  });

  test("they hang", async () => {
    const options = { nodes, script: () => ({ answersAfterMs: 1e9 }), deadlineMs: 5000 };
    const fleet = scriptedFleet(options);
    await fleet.load(callsPerS, 90_000);
    console.log("all hang:", { calls_out_per_call_in: 1 + extraCalls(fleet) });
    expect(failures(fleet)).toHaveLength(fleet.served.length);
    expect(extraCalls(fleet)).toBeLessThanOrEqual(0.1);
    const refusedAtOnce = fleet.served.filter(({ tookMs }) => tookMs < 4999);
    for (const { error } of refusedAtOnce) expect(error).toMatchObject({ code: "overloaded" });
  });
});

test("a node that is killed under load fails no call, and is back within 30 s of its return", async () => {
  const killedAt = 20_000;
  const backAt = 50_000;
  const fleet = scriptedFleet({
    nodes,
    script: (node, at, random) =>
      node === "http://c" && at >= killedAt && at < backAt
        ? { breaksAfterMs: 1 }
        : { answersAfterMs: usual(random) },
  });
  fleet.clock.after(killedAt, () => fleet.breakConnections("http://c"));
  await fleet.load(callsPerS, 90_000);
  expect(fleet.served.length).toBeGreaterThan(20_000);
  expect(failures(fleet)).toEqual([]);
  expect(Math.max(...fleet.served.map(({ reply }) => reply?.attempts ?? 0))).toBe(2);
  const back = fleet.callsOut.find(({ at, node }) => node === "http://c" && at >= backAt);
  const share = (from: number, to: number): number => {
    const calls = fleet.callsOut.filter(({ at }) => at >= from && at < to);
    return calls.filter(({ node }) => node === "http://c").length / calls.length;
  };
  console.log("a node is killed:", {
    back_after_ms: (back?.at ?? Number.NaN) - backAt,
    share_while_dead: share(killedAt + 1000, backAt),
    share_after: share(backAt + 20_000, 90_000),
    calls_that_were_retried: fleet.served.filter(({ reply }) => reply?.second === "retry").length,
  });
  expect((back?.at ?? Number.NaN) - backAt).toBeLessThan(30_000);
  expect(share(killedAt + 1000, backAt)).toBeLessThan(0.001);
  expect(share(backAt + 20_000, 90_000)).toBeGreaterThan(0.2);
});
