import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AppError, toProblem } from "@blip2-edge/shared/problem";
import { workDesk, type Asked, type Desk, type Told } from "./desk.ts";

const problem = toProblem(new AppError("overloaded", "no"));
const outcome = { at: 100, values: "[1]" };

/** A desk with a clock that is moved by hand, and what each ticket was told last. */
function world(options: { readonly maxWaiting?: number } = {}) {
  let now = 1000;
  const timers = new Map<object, { readonly at: number; readonly work: () => void }>();
  const desk = workDesk({
    ...options,
    graceMs: 50,
    now: () => now,
    timer(ms, work) {
      const id = {};
      timers.set(id, { at: now + ms, work });
      return () => timers.delete(id);
    },
  });
  const told = new Map<string, Told>();
  return {
    desk,
    told,
    timers,
    async advance(ms: number) {
      const end = now + ms;
      for (;;) {
        const due = [...timers].filter(([, { at }]) => at <= end);
        const [next] = due.toSorted(([, a], [, b]) => a.at - b.at);
        if (next === undefined) break;
        now = next[1].at;
        timers.delete(next[0]);
        next[1].work();
        await Promise.resolve();
      }
      now = end;
      await Promise.resolve();
    },
    wait(asked: Asked, waitMs = 10_000) {
      void desk.wait(asked, waitMs).then((news) => told.set(asked.ticket, news));
      return Promise.resolve();
    },
  };
}
const asked = (ticket: string, more: Partial<Asked> = {}): Asked => ({
  ...{ ticket, keyId: "k", at: 100, newerThan: -1, leaseMs: 100 },
  ...more,
});
const lead = { kind: "lead", waited: false };

test("the first leads, the others wait and are told what came of it; so are those who come a little later", async () => {
  const { desk, told, wait, advance } = world();
  expect(desk.join(asked("a"))).toEqual(lead);
  expect(desk.join(asked("b"))).toEqual({ kind: "wait" });
  await wait(asked("b"));
  await wait(asked("c"));
  desk.finish("a", outcome);
  await advance(0);
  for (const ticket of ["b", "c"]) expect(told.get(ticket)).toEqual({ kind: "done", outcome });
  await advance(49);
  expect(desk.join(asked("d"))).toEqual({ kind: "done", outcome });
  await advance(1);
  expect(desk.join(asked("e"))).toEqual(lead);
});

describe("a leader that is gone", () => {
  test("is followed by the next when its lease ends, and that one's by the one after", async () => {
    const { desk, told, wait, advance } = world();
    desk.join(asked("a"));
    for (const ticket of ["b", "c"]) await wait(asked(ticket));
    await advance(60);
    expect(desk.renew("a")).toBe(true);
    await advance(99);
    expect(told.size).toBe(0);
    await advance(1);
    expect(told.get("b")).toEqual({ kind: "lead", waited: true });
    expect(desk.renew("a")).toBe(false);
    await advance(100);
    expect(told.get("c")).toEqual({ kind: "lead", waited: true });
    // What the first found all the same is as good.
    await wait(asked("d"));
    desk.finish("a", outcome);
    await advance(0);
    expect(told.get("d")).toEqual({ kind: "done", outcome });
    expect(desk.renew("c")).toBe(true);
  });

  test("without anyone waiting, the next to come leads", async () => {
    const { desk, advance, timers } = world();
    desk.join(asked("a"));
    expect(timers.size).toBe(0);
    await advance(99);
    expect(desk.join(asked("b")).kind).toBe("wait");
    await advance(1);
    expect(desk.join(asked("b"))).toEqual(lead);
  });
});

describe("a failure", () => {
  test("of the work is everyone's, one of a key is those with the key; the next of the others takes over", async () => {
    const { desk, told, wait, advance } = world();
    desk.join(asked("a"));
    for (const ticket of ["b", "c"]) await wait(asked(ticket));
    desk.fail("a", { problem });
    await advance(0);
    for (const ticket of ["b", "c"]) expect(told.get(ticket)).toEqual({ kind: "failed", problem });

    desk.join(asked("d"));
    await wait(asked("e"));
    await wait(asked("f", { keyId: "other" }));
    desk.fail("d", { problem, keyId: "k" });
    await advance(0);
    expect(told.get("e")).toEqual({ kind: "failed", problem });
    expect(told.get("f")).toEqual({ kind: "lead", waited: true });
  });

  test("that is nobody else's hands over; of one who waits it ends the waiting; of a stranger nothing", async () => {
    const { desk, told, wait, advance } = world();
    desk.join(asked("a"));
    for (const ticket of ["b", "c", "d"]) await wait(asked(ticket));
    desk.fail("b");
    desk.fail("x", { problem });
    await advance(0);
    expect([...told]).toEqual([["b", { kind: "wait" }]]);
    desk.fail("a");
    await advance(0);
    expect(told.get("c")).toEqual({ kind: "lead", waited: true });
    expect(told.has("d")).toBe(false);
  });
});

test("what was begun before it was forgotten is nothing to who asks after that", async () => {
  const { desk, told, wait, advance } = world();
  desk.join(asked("a"));
  await wait(asked("b"));
  const after = asked("c", { at: 300, newerThan: 200 });
  expect(desk.join(after)).toEqual(lead);
  await wait(asked("d", { at: 301, newerThan: 200 }));
  desk.finish("a", outcome);
  await advance(0);
  expect(told.get("b")).toEqual({ kind: "done", outcome });
  expect(told.has("d")).toBe(false);
  const newer = { at: 300, values: "[2]" };
  desk.finish("c", newer);
  await advance(0);
  expect(told.get("d")).toEqual({ kind: "done", outcome: newer });
  desk.finish("a", outcome);
  expect(desk.join(asked("e"))).toEqual({ kind: "done", outcome: newer });
});

test("waiting ends when it was said to, for one place at a time, and not more than may", async () => {
  const { desk, told, wait, advance, timers } = world({ maxWaiting: 2 });
  desk.join(asked("a", { leaseMs: 10_000 }));
  await wait(asked("b"), 20);
  await wait(asked("b"), 30);
  await advance(0);
  expect(told.get("b")).toEqual({ kind: "wait" });
  told.clear();
  await wait(asked("c"), 30);
  await wait(asked("d"), 30);
  await advance(0);
  expect([...told]).toEqual([["d", { kind: "alone" }]]);
  await advance(30);
  for (const ticket of ["b", "c"]) expect(told.get(ticket)).toEqual({ kind: "wait" });
  await advance(20_000);
  expect(timers.size).toBe(0);
  // Who asks again with its ticket has what it had.
  expect(desk.join(asked("z"))).toEqual(lead);
  expect(desk.join(asked("z"))).toEqual(lead);
});

test("whatever happens: at most one leads whose lease lives, and who waits is told something in its time", async () => {
  const ticket = fc.integer({ min: 0, max: 5 }).map(String);
  const step = fc.oneof(
    fc.record({ wait: ticket, ms: fc.integer({ min: 1, max: 400 }) }),
    fc.record({ do: fc.constantFrom("finish", "fail", "share", "renew"), ticket }),
    fc.record({ advance: fc.integer({ min: 1, max: 250 }) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { desk, advance, timers } = world();
      const open = new Set<string>();
      const leading = new Set<string>();
      const waitFor = async (who: string, ms: number): Promise<void> => {
        open.add(who);
        const told = await desk.wait(asked(who), ms);
        open.delete(who);
        if (told.kind !== "lead") return;
        leading.clear();
        leading.add(who);
      };
      const act: Record<string, (desk: Desk, who: string) => void> = {
        finish: (at, who) => at.finish(who, outcome),
        fail: (at, who) => at.fail(who),
        share: (at, who) => at.fail(who, { problem }),
        renew(at, who) {
          if (at.renew(who)) expect(leading.has(who)).toBe(true);
        },
      };
      for (const one of steps) {
        if ("advance" in one) await advance(one.advance);
        else if ("wait" in one) void waitFor(one.wait, one.ms);
        else act[one.do]?.(desk, one.ticket);
        await advance(0);
      }
      await advance(2000);
      expect([...open]).toEqual([]);
      expect(timers.size).toBe(0);
    }),
    { numRuns: 300 },
  );
});
