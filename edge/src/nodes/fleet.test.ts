import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  createFleet,
  type Choice,
  type Fleet,
  type Flight,
  type NodeChange,
  type Wanted,
} from "./fleet.ts";
import type { CallOutcome } from "./node-health.ts";
import { defaultPolicy } from "./policy.ts";

const model = (name: string, revision = "0") => ({
  model: name,
  model_revision: revision.repeat(16),
  family: "opt",
  image_size: 14,
  abilities: ["caption"],
});
const wanted: Wanted = { model: "m", revision: "0".repeat(16), key: "k", bulk: false };
const urls = ["http://a", "http://b", "http://c", "http://d"];
const facts = (url: string, weight = 1) => ({ url, weight, models: [model("m")] });

function fleetOf(names: readonly string[] = urls, policy = {}): Fleet {
  const fleet = createFleet(policy);
  fleet.setNodes(
    names.map((url) => facts(url)),
    0,
  );
  return fleet;
}
const urlOf = (choice: Choice): string => {
  if (choice.kind !== "node") throw new Error(`no node: ${choice.kind}`);
  return choice.url;
};
/** So many calls there that end so, each after 100 ms. */
function calls(
  fleet: Fleet,
  url: string,
  count: number,
  kind: CallOutcome,
  from = 0,
  tookMs = 100,
): number {
  let now = from;
  for (let at = 0; at < count; at++) {
    const flight = fleet.begin(url, "kind", 1000, now);
    now += tookMs;
    fleet.end(flight, kind, now);
  }
  return now;
}
const outs = (fleet: Fleet, now: number) =>
  fleet.state(now).flatMap(({ url, out }) => (out === undefined ? [] : [`${url} ${out}`]));
const broken = { kind: "broken" } as const;
const fault = { kind: "fault" } as const;
const ok = { kind: "ok" } as const;

describe("the choice", () => {
  test("is the same node for the same picture, and only nodes that hold the model's revision", () => {
    const fleet = fleetOf();
    const first = urlOf(fleet.choose(wanted, 0));
    for (let now = 1; now < 50; now++) expect(urlOf(fleet.choose(wanted, now))).toBe(first);
    fleet.checked(first, [model("m", "1"), model("n")], 50);
    expect(urlOf(fleet.choose(wanted, 51))).not.toBe(first);
    expect(urlOf(fleet.choose({ ...wanted, model: "n" }, 52))).toBe(first);
    expect(urlOf(fleet.choose({ ...wanted, revision: "1".repeat(16) }, 53))).toBe(first);
    expect(fleet.choose({ ...wanted, model: "none" }, 54)).toEqual({ kind: "none" });
  });

  test("what a node says of itself stands against an older heartbeat, and gives way to a newer one", () => {
    const fleet = createFleet();
    const beat = (heardAt: number, revision = "0") => {
      const node = { ...facts("http://a"), models: [model("m", revision)], heardAt };
      fleet.setNodes([node, { ...facts("http://b"), heardAt }], heardAt);
    };
    const others = () => urlOf(fleet.choose({ ...wanted, exclude: new Set(["http://b"]) }, 20));
    beat(10);
    fleet.lacks("http://a", "m", wanted.revision, 20);
    for (const key of ["1", "2", "3", "4"]) {
      expect(urlOf(fleet.choose({ ...wanted, key }, 20))).toBe("http://b");
    }
    // It is to be asked what it holds, once for now; until it has said so it is better than nobody.
    expect(fleet.checksDue(20).map(({ url }) => url)).toEqual(["http://a"]);
    expect(fleet.checksDue(21)).toEqual([]);
    expect(others()).toBe("http://a");
    beat(20);
    expect(fleet.nodes()[0]?.models).toEqual([]);
    fleet.checked("http://a", [model("m", "1")], 30);
    expect(others).toThrow("no node: none");
    beat(25);
    expect(fleet.nodes()[0]?.models).toEqual([model("m", "1")]);
    expect(fleet.checksDue(9999)).toEqual([]);
    beat(31, "2");
    expect(fleet.nodes()[0]?.models).toEqual([model("m", "2")]);
  });

  test("a node that has not said yet what it holds is asked when no other is known to hold it", () => {
    const fleet = createFleet();
    fleet.setNodes([facts("http://a"), { url: "http://b", weight: 1, models: undefined }], 0);
    expect(urlOf(fleet.choose(wanted, 0))).toBe("http://a");
    expect(urlOf(fleet.choose({ ...wanted, model: "n" }, 0))).toBe("http://b");
  });

  test("bounded load: no node has more than its share by weight times c, whatever is asked", () => {
    const step = fc.record({ key: fc.nat(5), ends: fc.nat(3) });
    const weights = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), weights, (steps, all) => {
        const fleet = createFleet({ maxInFlight: 1000 });
        fleet.setNodes(
          all.map((weight, at) => facts(`http://${at}`, weight)),
          0,
        );
        const total = all.reduce((sum, weight) => sum + weight, 0);
        const flights: Flight[] = [];
        for (const { key, ends } of steps) {
          const url = urlOf(fleet.choose({ ...wanted, key: String(key) }, 0));
          flights.push(fleet.begin(url, "kind", 1000, 0));
          const share = (all[Number(url.slice(7))] ?? 0) / total;
          const had = fleet.state(0).find((node) => node.url === url)?.inFlight ?? 0;
          expect(had).toBeLessThanOrEqual(Math.ceil(1.25 * flights.length * share));
          for (const flight of flights.splice(0, ends)) fleet.end(flight, ok, 1);
        }
      }),
    );
  });

  test("when every node has all it may have: full; bulk may have half", () => {
    const fleet = fleetOf(["http://a", "http://b"], { maxInFlight: 4 });
    const bulk = { ...wanted, bulk: true };
    for (let at = 0; at < 4; at++) {
      fleet.begin(urlOf(fleet.choose({ ...bulk, key: String(at) }, 0)), "kind", 1000, 0);
    }
    expect(fleet.choose(bulk, 0)).toEqual({ kind: "full" });
    for (let at = 0; at < 4; at++) {
      fleet.begin(urlOf(fleet.choose({ ...wanted, key: String(at) }, 0)), "kind", 1000, 0);
    }
    expect(fleet.choose(wanted, 0)).toEqual({ kind: "full" });
    // Requests that vanished without a word hold their places no longer than their time.
    expect(fleet.choose(wanted, 5999).kind).toBe("full");
    expect(fleet.choose(wanted, 6000).kind).toBe("node");
  });

  test("a node that is busy rests while there are others, and is asked when there are none", () => {
    const fleet = fleetOf(["http://a", "http://b"]);
    const first = urlOf(fleet.choose(wanted, 0));
    calls(fleet, first, 1, { kind: "busy", restMs: 3000 });
    const other = urlOf(fleet.choose(wanted, 200));
    expect(other).not.toBe(first);
    expect(urlOf(fleet.choose({ ...wanted, exclude: new Set([other]) }, 200))).toBe(first);
    calls(fleet, other, 1, { kind: "busy", restMs: 1e9 }, 200);
    expect(urlOf(fleet.choose(wanted, 400))).toBe(first);
    expect(urlOf(fleet.choose(wanted, 3200))).toBe(first);
    // However long it asks for, it is passed over for a bounded time.
    fleet.setNodes([facts(first), facts(other)], 0);
    expect(urlOf(fleet.choose({ ...wanted, exclude: new Set([first]) }, 6000))).toBe(other);
    expect(outs(fleet, 6000)).toEqual([]);
  });
});

describe("a node that cannot be reached", () => {
  test("is down after three calls in a row, is checked after 1, 2, 4 s, and back with a good check", () => {
    const fleet = fleetOf();
    calls(fleet, "http://a", 2, broken);
    calls(fleet, "http://a", 1, ok, 200);
    expect(outs(fleet, 300)).toEqual([]);
    const now = calls(fleet, "http://a", 3, broken, 300);
    expect(outs(fleet, now)).toEqual(["http://a unreachable"]);
    const due = (at: number) => fleet.checksDue(now + at).map(({ url }) => url);
    expect(due(999)).toEqual([]);
    expect(due(1000)).toEqual(["http://a"]);
    expect(due(1999)).toEqual([]);
    expect(due(2000)).toEqual(["http://a"]);
    expect(due(3999)).toEqual([]);
    expect(due(4000)).toEqual(["http://a"]);
    expect(outs(fleet, now + 1e6)).toEqual(["http://a unreachable"]);
    fleet.checked("http://a", [model("m")], now + 1e6);
    expect(outs(fleet, now + 1e6)).toEqual([]);
  });

  test("comes back on probation: one call at a time, and one that breaks takes it out again", () => {
    const fleet = fleetOf(["http://a", "http://b"]);
    let now = calls(fleet, "http://a", 3, broken);
    fleet.checked("http://a", [model("m")], ++now);
    const key = ["1", "2", "3", "4", "5"].find(
      (each) => urlOf(fleet.choose({ ...wanted, key: each }, now)) === "http://a",
    );
    const its = { ...wanted, key: key ?? "" };
    const flight = fleet.begin("http://a", "kind", 1000, now);
    expect(urlOf(fleet.choose(its, now))).toBe("http://b");
    fleet.end(flight, broken, ++now);
    expect(outs(fleet, now)).toEqual(["http://a unreachable"]);
    fleet.checked("http://a", [model("m")], ++now);
    now = calls(fleet, "http://a", 1, ok, now);
    fleet.begin("http://a", "kind", 1000, now);
    fleet.begin("http://b", "kind", 1000, now);
    expect(urlOf(fleet.choose(its, now))).toBe("http://a");
  });

  test("on probation it has all it may have when there is no other", () => {
    const fleet = fleetOf(["http://a"]);
    const now = calls(fleet, "http://a", 3, broken) + 1;
    fleet.checked("http://a", [model("m")], now);
    for (let at = 0; at < 3; at++) fleet.begin(urlOf(fleet.choose(wanted, now)), "kind", 1000, now);
  });

  test("any number may be down; then a call is let through when a check is due, and no other", () => {
    const fleet = fleetOf();
    let now = 0;
    for (const url of urls) now = calls(fleet, url, 3, broken, now);
    expect(outs(fleet, now)).toHaveLength(4);
    expect(fleet.choose(wanted, now)).toMatchObject({ kind: "none", retryAt: expect.any(Number) });
    const later = now + 1000;
    const tried = new Set<string>();
    for (let at = 0; at < 4; at++) tried.add(urlOf(fleet.choose(wanted, later)));
    expect(tried.size).toBe(4);
    expect(fleet.choose(wanted, later).kind).toBe("none");
    const [url = ""] = tried;
    calls(fleet, url, 1, ok, later);
    expect(urlOf(fleet.choose(wanted, later + 200))).toBe(url);
  });

  test("is back at once with a heartbeat that is newer, not with one that is older", () => {
    const fleet = fleetOf();
    const now = calls(fleet, "http://a", 3, broken);
    const heard = (heardAt: number) =>
      fleet.setNodes(
        urls.map((url) => ({ ...facts(url), heardAt })),
        now + 10,
      );
    heard(now - 1);
    expect(outs(fleet, now + 10)).toEqual(["http://a unreachable"]);
    heard(now + 5);
    expect(outs(fleet, now + 10)).toEqual([]);
  });
});

describe("an outlier", () => {
  test("faults: five in a row, for 30 s times the number of ejections", () => {
    const fleet = fleetOf();
    let now = calls(fleet, "http://a", 4, fault);
    now = calls(fleet, "http://a", 1, ok, now);
    expect(outs(fleet, now)).toEqual([]);
    now = calls(fleet, "http://a", 5, fault, now);
    expect(outs(fleet, now)).toEqual(["http://a faults"]);
    expect(outs(fleet, now + 29_999)).toEqual(["http://a faults"]);
    expect(outs(fleet, now + 30_000)).toEqual([]);
    now = calls(fleet, "http://a", 1, fault, now + 30_000);
    expect(outs(fleet, now + 59_999)).toEqual(["http://a faults"]);
    expect(outs(fleet, now + 60_000)).toEqual([]);
  });

  test("an answer that is about the request, and one that nobody waited for, say nothing", () => {
    const fleet = fleetOf();
    for (const kind of ["answered", "abandoned"] as const) calls(fleet, "http://a", 50, { kind });
    expect(outs(fleet, 1e5)).toEqual([]);
  });

  test("success rate: one that fails every third call among nodes that fail none", () => {
    const fleet = fleetOf();
    for (let round = 0; round < 10; round++) {
      for (const url of urls) {
        calls(fleet, url, 2, ok, round * 300);
        calls(fleet, url, 1, url === "http://a" ? fault : ok, round * 300 + 200);
      }
    }
    expect(outs(fleet, 4000)).toEqual(["http://a success_rate"]);
  });

  test("latency: one that takes three times as long; a check does not bring it back, a new process does", () => {
    const fleet = fleetOf();
    for (const url of urls) calls(fleet, url, 20, ok);
    for (const url of urls) calls(fleet, url, 20, ok, 2000, url === "http://a" ? 300 : 100);
    expect(outs(fleet, 9000)).toEqual(["http://a latency"]);
    fleet.checked("http://a", [model("m")], 9100);
    expect(outs(fleet, 9100)).toEqual(["http://a latency"]);
    const beat = (startedAt: number) =>
      fleet.setNodes(
        urls.map((url) => ({ ...facts(url), heardAt: 9200, startedAt })),
        9200,
      );
    beat(1);
    expect(outs(fleet, 9200)).toEqual(["http://a latency"]);
    beat(9150);
    expect(outs(fleet, 9200)).toEqual([]);
  });

  test("one of two is found as well, and calls that hang are seen before they end", () => {
    const fleet = fleetOf(["http://a", "http://b"]);
    for (const url of ["http://a", "http://b"]) calls(fleet, url, 30, ok);
    const now = 5000;
    for (let at = 0; at < 40; at++) fleet.begin("http://a", "kind", 60_000, now);
    calls(fleet, "http://b", 20, ok, now);
    expect(outs(fleet, now + 290)).toEqual([]);
    expect(outs(fleet, now + 2000)).toEqual(["http://a latency"]);
  });

  test("when all become slow, or all fail, they are no outliers; the last one is never ejected", () => {
    const slow = fleetOf();
    for (const url of urls) calls(slow, url, 20, ok);
    for (let round = 0; round < 32; round++) {
      for (const url of urls) calls(slow, url, 1, ok, 2000 * (round + 1), 2000);
    }
    expect(outs(slow, 80_000)).toEqual([]);

    const failing = fleetOf();
    let now = 0;
    for (const url of urls) now = calls(failing, url, 10, fault, now);
    expect(outs(failing, now)).toEqual(["http://a faults", "http://b faults"]);

    const one = fleetOf(["http://a"]);
    now = calls(one, "http://a", 50, fault);
    expect(outs(one, now)).toEqual([]);
    const two = fleetOf(["http://a", "http://b"]);
    for (const url of ["http://a", "http://b"]) now = calls(two, url, 50, fault);
    expect(outs(two, now)).toEqual(["http://a faults"]);
  });

  test("while all that serve a model are ejected, they are used", () => {
    const fleet = createFleet();
    fleet.setNodes([facts("http://a"), { url: "http://b", weight: 1, models: [model("n")] }], 0);
    const now = calls(fleet, "http://a", 5, fault);
    expect(outs(fleet, now)).toEqual(["http://a faults"]);
    expect(urlOf(fleet.choose(wanted, now))).toBe("http://a");
  });
});

test("tells when a node is taken out and when it is back, once each", () => {
  const told: NodeChange[] = [];
  const fleet = createFleet({}, (change) => told.push(change));
  fleet.setNodes(
    urls.map((url) => facts(url)),
    0,
  );
  const now = calls(fleet, "http://a", 3, broken);
  for (let at = 0; at < 3; at++) fleet.state(now);
  fleet.checked("http://a", [model("m")], now + 1);
  for (let at = 0; at < 3; at++) fleet.choose(wanted, now + 1);
  expect(told).toEqual([
    { url: "http://a", out: "unreachable" },
    { url: "http://a", out: undefined },
  ]);
});

test("whatever happens: outliers are at most half, some node is in, and who is out is not chosen", () => {
  const outcome = fc.constantFrom<CallOutcome["kind"]>("ok", "fault", "lost", "timed_out");
  const step = fc.record({
    key: fc.nat(9),
    waitMs: fc.nat(2000),
    outcomes: fc.array(outcome, { minLength: 4, maxLength: 4 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
      const fleet = fleetOf();
      let now = 0;
      for (const { key, waitMs, outcomes } of steps) {
        const state = fleet.state(now);
        const inside = state.filter(({ out }) => out === undefined).map(({ url }) => url);
        expect(inside.length).toBeGreaterThanOrEqual(
          urls.length * (1 - defaultPolicy.maxEjectedShare),
        );
        const choice = fleet.choose({ ...wanted, key: String(key) }, now);
        if (choice.kind !== "node") throw new Error(`no node: ${choice.kind}`);
        expect(inside).toContain(choice.url);
        const flight = fleet.begin(choice.url, "kind", 1000, now);
        now += waitMs;
        const kind = outcomes[urls.indexOf(choice.url)] ?? "ok";
        fleet.end(flight, { kind } as CallOutcome, now);
        fleet.end(flight, fault, now);
      }
    }),
  );
});

describe("hedges", () => {
  test("after the p95 of the kind, once enough of it are known; never when they are turned off", () => {
    const fleet = fleetOf();
    expect(fleet.hedgeAfterMs("kind", 0)).toBeUndefined();
    const now = calls(fleet, "http://a", 97, ok, 0, 100);
    calls(fleet, "http://a", 2, ok, now, 1000);
    expect(fleet.hedgeAfterMs("kind", now)).toBeGreaterThan(95);
    expect(fleet.hedgeAfterMs("kind", now)).toBeLessThan(110);
    expect(fleet.hedgeAfterMs("other", now)).toBeUndefined();
    const off = fleetOf(urls, { hedgeShare: 0 });
    expect(off.hedgeAfterMs("kind", calls(off, "http://a", 100, ok))).toBeUndefined();
  });

  test("only where there is room to spare: not at a node that is full, busy, out or on probation", () => {
    const fleet = fleetOf(["http://a", "http://b"], { maxInFlight: 4 });
    const other = { ...wanted, exclude: new Set(["http://a"]) };
    fleet.begin("http://a", "kind", 1000, 0);
    expect(urlOf(fleet.chooseSpare(other, 0))).toBe("http://b");
    fleet.begin("http://b", "kind", 1000, 0);
    fleet.begin("http://b", "kind", 1000, 0);
    expect(fleet.chooseSpare(other, 0).kind).toBe("full");
    expect(fleet.choose(other, 0).kind).toBe("node");
  });
});
