// The stores of jobs over SQLite: who may see what, what is claimed by whom, and that an item is recorded once.
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { AppError } from "@blip2-edge/shared/problem";
import { memoryTables } from "../../../test/support/sqlite.ts";
import { jobStore, type JobStore } from "./job-store.ts";
import { workStore, type Claim, type ClaimedItem, type WorkStore } from "./work-store.ts";

let at = 0;
let jobs: JobStore;
let work: WorkStore;
const keepMs = 50_000;

beforeEach(() => {
  at = 1_000_000;
  const table = memoryTables();
  let leases = 0;
  jobs = jobStore({ table, keepMs, maxOpen: 3, now: () => at });
  work = workStore({
    ...{ table, keepMs, pauseMs: 1000, maxPauseMs: 10_000, now: () => at },
    newLease: () => `lease${(leases += 1)}`,
  });
});

const hex = (number: number) => `job_${number.toString(16).padStart(32, "0")}`;
const make = (number: number, items = 3, more: { tenant?: string; webhook?: boolean } = {}) =>
  jobs.create({
    ...{ id: hex(number), tenant: more.tenant ?? "ada", keyId: "k1", name: undefined },
    defaults: { task: "caption" },
    items: Array.from({ length: items }, (_, index) => ({
      ...{ id: index === 0 ? "first" : undefined, task: "caption" as const },
      ...{ at: index * 10, bytes: 10 },
    })),
    expiresAt: at + 60_000,
    webhook:
      more.webhook === true ? { url: "https://a.example/", sealedSecret: "sealed" } : undefined,
  });
const claim = (number: number, more: Partial<Claim> = {}) =>
  work.claim({ jobId: hex(number), want: 10, perJob: 10, overall: 10, leaseMs: 100, ...more });
const succeed = (number: number, item: ClaimedItem) =>
  work.record(hex(number), item, { state: "succeeded", resultBytes: 5 });
const countsOf = async (number: number) => (await jobs.counts([hex(number)])).get(hex(number));

describe("a job", () => {
  test("made again under its id stays as it is", async () => {
    const first = await make(1);
    at += 5;
    expect(await make(1, 7)).toEqual(first);
    expect(await countsOf(1)).toEqual({ waiting: 3 });
  });

  test("of more items than one statement takes has them all", async () => {
    await make(1, 2500);
    expect(await countsOf(1)).toEqual({ waiting: 2500 });
    const claimed = await claim(1, { want: 2000, perJob: 5000, overall: 5000 });
    expect(claimed.at(-1)).toMatchObject({ n: 1999, inputAt: 19_990, task: "caption" });
  });

  test("of another tenant is unknown", async () => {
    await make(1, 1, { tenant: "bob" });
    await expect(jobs.read("ada", hex(1))).rejects.toMatchObject({ code: "not_found" });
    await expect(jobs.markDeleted("ada", hex(1))).rejects.toMatchObject({ code: "not_found" });
    expect((await jobs.list("ada", undefined)).jobs).toEqual([]);
    expect((await jobs.read("bob", hex(1))).state).toBe("queued");
  });

  test("too many that are not over are refused, and leave nothing", async () => {
    for (const number of [1, 2, 3]) await make(number, 1);
    await expect(make(4)).rejects.toMatchObject({ code: "too_many_jobs" });
    expect(await countsOf(4)).toBeUndefined();
    await make(5, 1, { tenant: "bob" });
    await jobs.end(hex(2), "canceled");
    expect((await make(4)).state).toBe("queued");
  });

  test("is listed page by page, the newest first", async () => {
    for (let number = 1; number <= 45; number++) {
      await make(number, 1);
      await jobs.end(hex(number), "canceled");
    }
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await jobs.list("ada", cursor);
      seen.push(...page.jobs.map(({ id }) => id));
      cursor = page.cursor;
    } while (cursor !== undefined);
    expect(seen).toEqual(Array.from({ length: 45 }, (_, index) => hex(45 - index)));
  });

  test("is over with its last item, counted for good, and its webhook due", async () => {
    await make(1, 2, { webhook: true });
    const [one, two] = await claim(1);
    if (one === undefined || two === undefined) throw new Error("two items were to be claimed");
    await succeed(1, one);
    expect((await jobs.read("ada", hex(1))).state).toBe("running");
    at += 7;
    const problem = new AppError("image_corrupt", "It is broken.");
    await work.record(hex(1), two, { state: "failed", problem });
    expect(await jobs.read("ada", hex(1))).toMatchObject({
      ...{ state: "completed", finished_at: at, keep_until: at + keepMs },
      ...{ counts: { succeeded: 1, failed: 1 }, hook_state: "pending", hook_due_at: at },
    });
    const recorded = await jobs.recorded(hex(1), 0, 10);
    expect(recorded).toMatchObject([
      { n: 0, id: "first", seq: 1, state: "succeeded", result_bytes: 5 },
      { n: 1, id: null, seq: 2, state: "failed", problem: { code: "image_corrupt" } },
    ]);
  });

  test("that is ended keeps what is done; the rest is canceled, behind it, and nothing is recorded any more", async () => {
    await make(1, 4);
    const [, second, third] = await claim(1, { want: 3 });
    if (second === undefined || third === undefined) throw new Error("three were to be claimed");
    await succeed(1, second);
    await jobs.end(hex(1), "expired", new AppError("deadline_exceeded", "Over."));
    expect(await succeed(1, third)).toBe(false);
    expect(await claim(1)).toEqual([]);
    expect(await jobs.read("ada", hex(1))).toMatchObject({
      ...{ state: "expired", problem: { code: "deadline_exceeded" } },
      counts: { succeeded: 1, canceled: 3 },
    });
    const recorded = await jobs.recorded(hex(1), 0, 10);
    expect(recorded.map(({ n, state }) => [n, state])).toEqual([
      [1, "succeeded"],
      [0, "canceled"],
      [2, "canceled"],
      [3, "canceled"],
    ]);
    // The first end is the end.
    await jobs.end(hex(1), "canceled");
    expect((await jobs.read("ada", hex(1))).state).toBe("expired");
  });

  test("that is deleted is gone for all, and due to be forgotten", async () => {
    await make(1);
    const [item] = await claim(1);
    if (item === undefined) throw new Error("one was to be claimed");
    await jobs.markDeleted("ada", hex(1));
    expect(await jobs.find(hex(1))).toBeUndefined();
    expect(await succeed(1, item)).toBe(false);
    expect(await work.outdated(10)).toEqual([{ id: hex(1), tenant: "ada" }]);
    await jobs.forget(hex(1));
    expect(await work.outdated(10)).toEqual([]);
    expect(await countsOf(1)).toBeUndefined();
  });
});

describe("claims", () => {
  test("are bounded per job and overall; a lease that is over no longer counts", async () => {
    await make(1, 10);
    await make(2, 10);
    expect(await claim(1, { perJob: 4 })).toHaveLength(4);
    expect(await claim(1, { perJob: 4 })).toHaveLength(0);
    expect(await claim(2, { perJob: 4, overall: 6 })).toHaveLength(2);
    at += 101;
    const again = await claim(1, { perJob: 4 });
    expect(again.map(({ n, attempts }) => [n, attempts])).toEqual([
      [0, 2],
      [1, 2],
      [2, 2],
      [3, 2],
    ]);
  });

  test("of a lease that was taken over record nothing", async () => {
    await make(1, 1);
    const [late] = await claim(1);
    at += 101;
    const [current] = await claim(1);
    if (late === undefined || current === undefined) throw new Error("it was to be claimed twice");
    expect(await succeed(1, late)).toBe(false);
    await work.putBack(hex(1), late, 0, false);
    expect(await succeed(1, current)).toBe(true);
    expect(await succeed(1, current)).toBe(false);
    expect(await jobs.recorded(hex(1), 0, 10)).toMatchObject([{ lease: current.lease }]);
  });

  test("an item that is put back waits its time; a free attempt does not count", async () => {
    await make(1, 1);
    for (const [afterMs, free, attempts] of [
      [500, false, 2],
      [0, true, 2],
    ] as const) {
      const [item] = await claim(1);
      if (item === undefined) throw new Error("it was to be claimed");
      await work.putBack(hex(1), item, afterMs, free);
      if (afterMs > 0) expect(await claim(1)).toEqual([]);
      expect((await work.standing(hex(1)))?.nextDueAt).toBe(at + afterMs);
      at += afterMs;
      const [next] = await claim(1);
      expect(next?.attempts).toBe(attempts);
      if (next !== undefined) await work.putBack(hex(1), next, 0, true);
    }
  });

  test("a pause holds the whole job, doubles, counts once for all that met it, and ends with a success", async () => {
    await make(1, 3);
    const pausedFor = async () => ((await work.standing(hex(1)))?.nextDueAt ?? 0) - at;
    for (const ms of [1000, 2000, 4000]) {
      await work.pause(hex(1), "node_unavailable", 0);
      await work.pause(hex(1), "node_unavailable", 0);
      expect(await pausedFor()).toBe(ms);
      expect(await claim(1)).toEqual([]);
      expect(await work.overdue(at, 10)).toEqual([]);
      at += ms;
    }
    const [item] = await claim(1, { want: 1 });
    if (item === undefined) throw new Error("one was to be claimed");
    await succeed(1, item);
    await work.pause(hex(1), "overloaded", 1500);
    expect(await pausedFor()).toBe(1500);
  });

  test("nothing is claimed of a job whose time is over", async () => {
    await make(1);
    at += 60_000;
    expect(await claim(1)).toEqual([]);
    expect(await work.expired(10)).toEqual([hex(1)]);
  });
});

describe("the sweep finds", () => {
  test("what is due and in nobody's hands", async () => {
    await make(1, 2);
    expect(await work.overdue(at, 10)).toEqual([hex(1)]);
    await claim(1, { want: 1 });
    expect(await work.overdue(at, 10)).toEqual([]);
    at += 101;
    expect(await work.overdue(at, 10)).toEqual([hex(1)]);
  });
});

test("in any order of messages, deaths and ends, each item is recorded at most once and none is lost", async () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant("claim" as const), want: fc.integer({ min: 1, max: 3 }) }),
    fc.record({
      do: fc.constantFrom("succeed" as const, "fail" as const, "back" as const),
      which: fc.nat({ max: 20 }),
    }),
    fc.record({ do: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 150 }) }),
    fc.record({ do: fc.constant("pause" as const) }),
  );
  let number = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.boolean(), async (steps, ends) => {
      number += 1;
      const id = hex(number);
      await make(number, 5, { tenant: `t${number}` });
      const held: ClaimedItem[] = [];
      let recorded = 0;
      const record = async (item: ClaimedItem, how: "succeed" | "fail") => {
        const done =
          how === "succeed"
            ? await succeed(number, item)
            : await work.record(id, item, {
                ...{ state: "failed", problem: new AppError("image_corrupt", "") },
              });
        recorded += done ? 1 : 0;
      };
      for (const each of steps) {
        if (each.do === "claim") held.push(...(await claim(number, { want: each.want })));
        else if (each.do === "wait") at += each.ms;
        else if (each.do === "pause") await work.pause(id, "overloaded", 0);
        else {
          const item = held[each.which % Math.max(1, held.length)];
          if (item === undefined) continue;
          if (each.do === "back") await work.putBack(id, item, 10, false);
          else await record(item, each.do);
        }
      }
      if (ends) await jobs.end(id, "canceled");
      // Whoever comes after a death finishes it.
      for (let round = 0; round < 10; round++) {
        at += 20_000;
        if (at > 1_000_000 + 50_000) at = 1_000_000 + 50_000;
        for (const item of await claim(number)) await record(item, "succeed");
      }
      const rows = await jobs.recorded(id, 0, 100);
      expect(new Set(rows.map(({ n }) => n)).size).toBe(5);
      expect(rows).toHaveLength(5);
      expect(rows.filter(({ state }) => state !== "canceled")).toHaveLength(recorded);
      const { state, counts } = await jobs.read(`t${number}`, id);
      expect(state).toBe(recorded === 5 ? "completed" : "canceled");
      expect(Object.values(counts ?? {}).reduce((sum, count) => sum + count, 0)).toBe(5);
      at = 1_000_000;
    }),
    { numRuns: 60 },
  );
});
