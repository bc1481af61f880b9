import {
  assert,
  array,
  boolean,
  constantFrom,
  infiniteStream,
  integer,
  option,
  property,
  record,
  type Arbitrary,
} from "fast-check";
import { describe, expect, test } from "vitest";
import { admit, type AdmittedJob, type Newcomer } from "./admission.ts";

const partition = option(constantFrom("a", "b", "c"), { nil: undefined });
const priority = constantFrom("interactive" as const, "bulk" as const);
const someMs = integer({ min: 0, max: 20_000 });
const job: Arbitrary<AdmittedJob> = record({
  partition,
  priority,
  remainingMs: someMs,
  started: boolean(),
  // Interactive work never waits in the door.
}).map((made) => ({ ...made, started: made.started || made.priority === "interactive" }));
const jobs = array(job, { maxLength: 12 });
const newcomer: Arbitrary<Newcomer> = record({
  partition,
  priority,
  workMs: someMs,
  aloneMs: someMs,
  deadlineMs: integer({ min: 1, max: 60_000 }),
});
const bounds = record({
  maxQueueMs: integer({ min: 1, max: 40_000 }),
  maxJobs: integer({ min: 1, max: 14 }),
});
const sum = (all: readonly AdmittedJob[]) =>
  all.reduce((total, { remainingMs }) => total + remainingMs, 0);
const waitOf = (...args: Parameters<typeof admit>): number => {
  const verdict = admit(...args);
  return verdict.admitted ? 0 : verdict.waitMs;
};
const keepOf = (all: readonly AdmittedJob[], shed: readonly number[]) =>
  all.filter((_, at) => !shed.includes(at));

describe("whatever there is", () => {
  test("the bounds hold after every admission, unless the one job is all there is", () => {
    assert(
      property(jobs, newcomer, bounds, (all, one, most) => {
        const verdict = admit(all, one, most);
        if (!verdict.admitted) return;
        const kept = keepOf(all, verdict.shed);
        if (kept.length === 0) return;
        const part = one.priority === "bulk" ? 0.5 : 1;
        // What is left to do of the others may be nothing: then the newcomer is as good as alone.
        expect(sum(kept) + (sum(kept) === 0 ? 0 : one.workMs)).toBeLessThanOrEqual(
          most.maxQueueMs * part,
        );
        expect(kept.length + 1).toBeLessThanOrEqual(Math.max(2, most.maxJobs * part));
      }),
    );
  });

  test("an empty node refuses nobody", () => {
    assert(property(newcomer, bounds, (one, most) => waitOf([], one, most) === 0));
  });

  test("a refusal waits for a finite time, never longer than all that is there takes", () => {
    assert(
      property(jobs, newcomer, bounds, (all, one, most) => {
        const verdict = admit(all, one, most);
        if (verdict.admitted) return;
        expect(verdict.waitMs).toBeGreaterThan(0);
        expect(verdict.waitMs).toBeLessThanOrEqual(Math.max(1, sum(all)));
      }),
    );
  });

  test("more of a backlog never means a shorter wait", () => {
    assert(
      property(jobs, newcomer, bounds, integer({ min: 0 }), someMs, (all, one, most, at, more) => {
        const longer = all.map((each, index) =>
          index === at % all.length ? { ...each, remainingMs: each.remainingMs + more } : each,
        );
        expect(waitOf(longer, one, most)).toBeGreaterThanOrEqual(waitOf(all, one, most));
      }),
    );
  });

  test("bulk is refused before interactive is", () => {
    assert(
      property(jobs, newcomer, bounds, (all, one, most) => {
        const bulk = waitOf(all, { ...one, priority: "bulk" }, most);
        const interactive = waitOf(all, { ...one, priority: "interactive" }, most);
        expect(bulk).toBeGreaterThanOrEqual(interactive);
      }),
    );
  });

  test("only bulk that waits is put out, for interactive work alone, and no more than must be", () => {
    assert(
      property(jobs, newcomer, bounds, (all, one, most) => {
        const verdict = admit(all, one, most);
        if (!verdict.admitted || verdict.shed.length === 0) return;
        expect(one.priority).toBe("interactive");
        for (const at of verdict.shed) {
          expect(all[at]).toMatchObject({ priority: "bulk", started: false });
        }
        const oneLess = keepOf(all, verdict.shed.slice(0, -1));
        const fits = sum(oneLess) + one.workMs <= most.maxQueueMs && oneLess.length < most.maxJobs;
        expect(fits).toBe(false);
      }),
    );
  });

  test("who waits as long as it was told is let in if nobody else came", () => {
    assert(
      property(jobs, newcomer, bounds, infiniteStream(integer()), (all, one, most, order) => {
        // In whatever order the engine works, what is done is no longer there, and bulk may have been started.
        let doneMs = waitOf(all, one, most);
        if (doneMs === 0) return;
        const ranked = all.map((each) => ({ each, rank: order.next().value }));
        const left = ranked
          .toSorted((a, b) => a.rank - b.rank)
          .flatMap(({ each, rank }) => {
            const took = Math.min(doneMs, each.remainingMs);
            doneMs -= took;
            const remainingMs = each.remainingMs - took;
            const started = each.started || rank % 2 === 0;
            return remainingMs > 0 ? [{ ...each, started, remainingMs }] : [];
          });
        expect(waitOf(left, one, most)).toBe(0);
      }),
    );
  });
});

describe("shares", () => {
  const most = { maxQueueMs: 10_000, maxJobs: 100 };
  const held = (name: string, remainingMs: number): AdmittedJob => ({
    partition: name,
    priority: "interactive",
    remainingMs,
    started: true,
  });
  const ask = (name: string | undefined, workMs: number): Newcomer => ({
    partition: name,
    priority: "interactive",
    workMs,
    aloneMs: workMs,
    deadlineMs: 600_000,
  });

  test("alone, a partition may hold everything", () => {
    expect(admit([held("a", 8000)], ask("a", 2000), most)).toEqual({ admitted: true, shed: [] });
  });
  test("beside another it may hold half: it is refused, the other is not", () => {
    const all = [held("a", 4800), held("b", 100)];
    expect(admit(all, ask("a", 1000), most)).toEqual({
      admitted: false,
      why: "share",
      waitMs: 900,
    });
    expect(admit(all, ask("b", 1000), most)).toMatchObject({ admitted: true });
    expect(admit(all, ask("c", 5000), most)).toMatchObject({ admitted: true });
  });
  test("while there is room for everybody nobody's share is looked at", () => {
    const all = [held("a", 3000), held("b", 10), held("c", 10), held("d", 10)];
    expect(admit(all, ask("a", 1000), most)).toMatchObject({ admitted: true });
  });
  test("work of no image belongs to nobody", () => {
    const all = [held("a", 6000), held("b", 100)];
    expect(admit(all, ask(undefined, 1000), most)).toMatchObject({ admitted: true });
  });
});

test("what cannot meet its deadline is refused at once, until it can", () => {
  const most = { maxQueueMs: 60_000, maxJobs: 100 };
  const started = { partition: "a", priority: "bulk", remainingMs: 5000, started: true } as const;
  const waits = { ...started, started: false };
  const one = { partition: "a", workMs: 100, aloneMs: 1000, deadlineMs: 4000 } as const;
  const interactive = { ...one, priority: "interactive" } as const;
  expect(admit([started], interactive, most)).toEqual({
    admitted: false,
    why: "late",
    waitMs: 2000,
  });
  // It passes bulk that waits, another bulk job does not.
  expect(admit([waits], interactive, most)).toMatchObject({ admitted: true });
  expect(admit([waits], { ...one, priority: "bulk" }, most)).toMatchObject({ why: "late" });
  // What never could is tried when nothing is ahead of it: estimates may be wrong.
  expect(waitOf([started], { ...interactive, deadlineMs: 1 }, most)).toBe(5000);
});
