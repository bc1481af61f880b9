import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { AppError } from "@blip2-edge/shared/problem";
import { requestContextOf } from "../../../test/support/request-context.ts";
import { collapse, type CollapseOptions, type WorkLeaseCalls } from "./collapse.ts";
import { workDesk } from "./desk.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

/** An object over a desk of its own for each key; `break` makes calls fail. */
function world(options: Partial<CollapseOptions> = {}) {
  const desks = new Map<string, ReturnType<typeof workDesk>>();
  const calls: string[] = [];
  let broken: (call: string) => boolean = () => false;
  const leases = {
    getByName(key: string): WorkLeaseCalls {
      const desk = desks.get(key) ?? workDesk();
      desks.set(key, desk);
      const call = async <Result>(name: string, work: () => Result | Promise<Result>) => {
        calls.push(name);
        if (broken(name)) throw new Error("the object is gone");
        return work();
      };
      return {
        join: (asked) => call("join", () => desk.join(asked)),
        wait: (asked, ms) => call("wait", () => desk.wait(asked, ms)),
        renew: (ticket) => call("renew", () => desk.renew(ticket)),
        finish: (ticket, outcome) => call("finish", () => desk.finish(ticket, outcome)),
        fail: (ticket, failure) => call("fail", () => desk.fail(ticket, failure)),
      };
    },
  };
  const room = collapse({ leases, leaseMs: 300, ...options });
  let computed = 0;
  /** A request for the work; each computes by itself unless it is told. */
  const ask = (
    compute: (waited: boolean) => Promise<string> = () => Promise.resolve("[1]"),
    context = requestContextOf(),
    newerThan = -1,
  ) => {
    const counted = (waited: boolean) => {
      computed += 1;
      return compute(waited);
    };
    return room.once({ key: "k", newerThan, compute: counted }, context);
  };
  return {
    ...{ ask, calls, desks },
    computed: () => computed,
    breakCalls: (which: (call: string) => boolean) => void (broken = which),
  };
}
const never = () => new Promise<never>(() => {});
const after =
  (ms: number, values = "[1]") =>
  () =>
    new Promise<string>((resolve) => setTimeout(() => resolve(values), ms));
const failing = (ms: number, error: Error) => () =>
  new Promise<never>((_, reject) => setTimeout(() => reject(error), ms));
/** Settled promises in the order given, once the clock has run so far. */
const settled = async <Result>(ms: number, work: readonly Promise<Result>[]) => {
  const all = Promise.allSettled(work);
  await vi.advanceTimersByTimeAsync(ms);
  return (await Promise.race([all, Promise.resolve([])])).map((one) =>
    one.status === "fulfilled" ? one.value : (one.reason as unknown),
  );
};

test("a hundred at the same time: one computes, all have it; the leader renews while it does", async () => {
  const { ask, computed, calls } = world();
  const all = Array.from({ length: 100 }, () => ask(after(1000)));
  const done = await settled(1000, all);
  expect(done[0]).toEqual({ values: "[1]", shared: false });
  expect(done).toHaveLength(100);
  for (const one of done.slice(1)) expect(one).toEqual({ values: "[1]", shared: true });
  expect(computed()).toBe(1);
  expect(calls.filter((call) => call === "renew").length).toBeGreaterThan(5);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(calls.filter((call) => call === "renew").length).toBeLessThan(11);
});

describe("a leader that does not come to an end", () => {
  test("dead: the next takes over when nothing is heard of it, and knows that it waited", async () => {
    const { ask, desks, computed } = world();
    const dead = { ticket: "dead", keyId: "x", at: 0, newerThan: -1, leaseMs: 300 };
    const desk = workDesk();
    desks.set("k", desk);
    expect(desk.join(dead)).toMatchObject({ kind: "lead" });
    const waited: boolean[] = [];
    const compute = (how: boolean) => {
      waited.push(how);
      return Promise.resolve("[2]");
    };
    const done = await settled(400, [ask(compute), ask(compute)]);
    expect(done).toEqual([
      { values: "[2]", shared: false },
      { values: "[2]", shared: true },
    ]);
    expect([computed(), waited]).toEqual([1, [true]]);
  });

  test("out of time, or its caller gone: the next takes over at once", async () => {
    for (const code of ["deadline_exceeded", "canceled", "image_pixels_gone"] as const) {
      const { ask, computed } = world();
      const leader = ask(failing(100, new AppError(code, "over")));
      const next = ask(after(10));
      expect(await settled(120, [leader, next])).toEqual([
        expect.objectContaining({ code }),
        { values: "[1]", shared: false },
      ]);
      expect(computed()).toBe(2);
    }
  });
});

describe("a failure", () => {
  test("of the work is everyone's, with the same words", async () => {
    const { ask, computed } = world();
    const error = new AppError("overloaded", "busy", { retryAfterS: 3, internal: "node 7" });
    const [first, ...others] = await settled(
      50,
      Array.from({ length: 5 }, () => ask(failing(50, error))),
    );
    expect(first).toBe(error);
    for (const other of others) {
      expect(other).toMatchObject({ code: "overloaded", detail: "busy", retryAfterS: 3 });
      expect(other).toHaveProperty("internal", undefined);
    }
    expect(computed()).toBe(1);
  });

  test("of a key's quota is that key's alone", async () => {
    const { ask, computed } = world();
    const refused = failing(50, new AppError("quota_exceeded", "no more"));
    const done = await settled(60, [
      ask(refused, requestContextOf({ keyId: "poor" })),
      ask(after(1), requestContextOf({ keyId: "poor" })),
      ask(after(1), requestContextOf({ keyId: "rich" })),
    ]);
    expect(done).toMatchObject([
      { code: "quota_exceeded" },
      { code: "quota_exceeded" },
      { shared: false },
    ]);
    expect(computed()).toBe(2);
  });
});

test("who waits ends with its own deadline, and is not made leader after that", async () => {
  const { ask, computed } = world();
  const controller = new AbortController();
  const leader = ask(failing(200, new AppError("canceled", "gone")));
  const gone = ask(never, requestContextOf({ signal: controller.signal }));
  const patient = ask(after(1));
  await vi.advanceTimersByTimeAsync(100);
  controller.abort(new AppError("deadline_exceeded", "too late"));
  expect(await settled(0, [gone])).toMatchObject([{ code: "deadline_exceeded" }]);
  expect(await settled(150, [leader, patient])).toMatchObject([{ code: "canceled" }, {}]);
  expect(computed()).toBe(2);
});

test("what is forgotten is computed anew, though it is being computed", async () => {
  const { ask, computed } = world();
  const before = ask(after(100, "[1]"), requestContextOf({ startedAt: 1000 }));
  await vi.advanceTimersByTimeAsync(10);
  const late = ask(after(10, "[2]"), requestContextOf({ startedAt: 3000 }), 2000);
  expect(await settled(100, [before, late])).toEqual([
    { values: "[1]", shared: false },
    { values: "[2]", shared: false },
  ]);
  expect(computed()).toBe(2);
});

describe("without the object", () => {
  test("the work is done all the same, and the log says why", async () => {
    const { ask, breakCalls } = world();
    breakCalls(() => true);
    const context = requestContextOf();
    expect(await settled(500, [ask(after(1), context)])).toEqual([
      { values: "[1]", shared: false },
    ]);
    expect(context.event["collapse_fault"]).toContain("the object is gone");
  });

  test("lost while others wait: they ask again, and one of them leads", async () => {
    const { ask, desks, breakCalls, computed } = world({ waitMs: 200 });
    const leader = ask(after(2000));
    const others = [ask(after(10, "[2]")), ask(after(10, "[2]"))];
    await vi.advanceTimersByTimeAsync(50);
    desks.clear();
    const done = await settled(400, others);
    expect(done).toContainEqual({ values: "[2]", shared: false });
    expect(done).toContainEqual({ values: "[2]", shared: true });
    breakCalls((call) => call === "finish");
    expect(await settled(2000, [leader])).toEqual([{ values: "[1]", shared: false }]);
    expect(computed()).toBe(2);
  });

  test("one that does not answer is given up in time", async () => {
    vi.useRealTimers();
    const room = collapse({
      ...{ callTimeoutMs: 20, waitMs: 20 },
      leases: {
        getByName: () => ({ join: never, wait: never, renew: never, finish: never, fail: never }),
      },
    });
    const once = room.once(
      { key: "k", newerThan: -1, compute: () => Promise.resolve("[1]") },
      requestContextOf(),
    );
    expect(await once).toEqual({ values: "[1]", shared: false });
  });
});

test("a batch and one who waits for an answer do not wait for each other", async () => {
  const { ask, computed } = world();
  const bulk = ask(after(1000), { ...requestContextOf(), priority: "bulk" });
  const interactive = ask(after(10));
  expect(await settled(10, [interactive])).toEqual([{ values: "[1]", shared: false }]);
  await settled(1000, [bulk]);
  expect(computed()).toBe(2);
});
