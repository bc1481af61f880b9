import { resolveGeneration } from "@blip2-edge/shared/contracts/generation";
import { AppError } from "@blip2-edge/shared/problem";
import { array, assert, asyncProperty, constantFrom, integer, nat, record } from "fast-check";
import { describe, expect, test } from "vitest";
import { createDispatcher, type DispatcherOptions } from "./dispatcher.ts";
import { costOf, shapeOf } from "./job-cost.ts";
import type { EngineStats, GenerateJob, Job, Outcome } from "./messages.ts";
import type { EngineState, OnText } from "./supervisor.ts";

const outcome: Outcome = {
  kind: "generate",
  results: [],
  firstTokenMs: 0,
  visionPasses: 0,
  stages: {},
};
/** Ten steps of one row: 100 ms of work when a step costs 10 ms and carries one row. */
const job = (imageId: string, extra: Partial<GenerateJob> = {}): GenerateJob => ({
  kind: "generate",
  model: "m",
  modelRevision: "r",
  priority: "interactive",
  deadlineMs: 60_000,
  partition: "p",
  imageId,
  texts: [null],
  generation: resolveGeneration({ max_new_tokens: 10 }),
  stream: false,
  ...extra,
});
const bulk = (imageId: string, extra: Partial<GenerateJob> = {}) =>
  job(imageId, { priority: "bulk", ...extra });
const stats = (extra: Partial<EngineStats> = {}): EngineStats => ({
  queuedMs: 1_000_000,
  costs: { visionMs: 0, prefillMsPerToken: 0, decodeMsPerStep: 10 },
  batchRows: 1,
  ...extra,
});
const never = new AbortController().signal;
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** An engine that finishes a job when told to, and a dispatcher before it. */
function manual(options: Partial<DispatcherOptions> = {}) {
  const started: { name: string; job: Job; onText: OnText | undefined }[] = [];
  const finish: ((error?: Error) => void)[] = [];
  const engine = {
    state: "ready" as EngineState,
    stats: stats() as EngineStats | undefined,
    holds: () => true,
    retryAfterS: () => 3,
    run: (each: Job, _: AbortSignal, onText?: OnText) =>
      new Promise<Outcome>((resolve, reject) => {
        started.push({ name: "imageId" in each ? each.imageId : "", job: each, onText });
        finish.push((error) => (error === undefined ? resolve(outcome) : reject(error)));
      }),
  };
  const dispatcher = createDispatcher({
    engine,
    maxQueueMs: 1000,
    maxJobs: 100,
    now: () => 0,
    ...options,
  });
  const names = () => started.map(({ name }) => name);
  return { engine, dispatcher, started, names, finish };
}
const codeOf = (run: Promise<unknown>) =>
  run.then(
    () => "done",
    (error: unknown) => (error as AppError).code,
  );

describe("interactive work", () => {
  test("that its caller has left keeps its place in the engine, but nobody is refused for it", async () => {
    const { dispatcher, finish } = manual({ maxQueueMs: 150 });
    const leaving = new AbortController();
    const left = codeOf(dispatcher.run(job("a"), leaving.signal));
    expect(await codeOf(dispatcher.run(job("b"), never))).toBe("overloaded");
    leaving.abort(new AppError("canceled", ""));
    expect(await left).toBe("canceled");
    expect([dispatcher.running, dispatcher.backlogMs]).toEqual([1, 0]);
    const next = codeOf(dispatcher.run(job("b"), never));
    finish[0]?.(new AppError("canceled", ""));
    finish[1]?.();
    expect(await next).toBe("done");
  });

  test("goes to the engine at once, however much is there, and is answered as it ends", async () => {
    const { dispatcher, names, finish } = manual();
    const runs = ["a", "b", "c"].map((name) => dispatcher.run(job(name), never));
    expect(names()).toEqual(["a", "b", "c"]);
    expect([dispatcher.running, dispatcher.depth, dispatcher.backlogMs]).toEqual([3, 0, 300]);
    finish[1]?.();
    expect(await runs[1]).toMatchObject({ visionPasses: 0, queueMs: expect.any(Number) as number });
    finish[0]?.(new Error("broken"));
    await expect(runs[0]).rejects.toThrow("broken");
    expect(dispatcher.running).toBe(1);
  });

  test("over the bound it is refused at once with when there is room again", async () => {
    const { dispatcher, started } = manual({ maxQueueMs: 2500 });
    const long = { generation: resolveGeneration({ max_new_tokens: 100 }) };
    void dispatcher.run(job("a", long), never);
    void dispatcher.run(job("b", long), never);
    await expect(dispatcher.run(job("c", long), never)).rejects.toMatchObject({
      code: "overloaded",
      retryAfterS: 1,
    });
    expect(started).toHaveLength(2);
  });

  test("that cannot be done in its time is refused rather than begun", async () => {
    const { dispatcher } = manual();
    void dispatcher.run(job("a"), never);
    void dispatcher.run(job("b"), never);
    const late = dispatcher.run(job("c", { deadlineMs: 250 }), never);
    await expect(late).rejects.toMatchObject({
      code: "overloaded",
      detail: expect.stringContaining("deadline") as string,
    });
  });

  test("of one partition is refused over its share while another waits", async () => {
    const { dispatcher } = manual();
    for (const name of ["a", "b", "c", "d", "e"]) void dispatcher.run(job(name), never);
    void dispatcher.run(job("o", { partition: "other" }), never);
    expect(await codeOf(dispatcher.run(job("f"), never))).toBe("share_exceeded");
    void dispatcher.run(job("x", { partition: "other" }), never);
    expect(dispatcher.running).toBe(7);
  });

  test("tells its text while it is written", async () => {
    const { dispatcher, started, finish } = manual();
    const heard: string[] = [];
    const run = dispatcher.run(job("a", { stream: true }), never, (_, text) => heard.push(text));
    started[0]?.onText?.(0, "a cat");
    finish[0]?.();
    await run;
    expect(heard).toEqual(["a cat"]);
  });
});

describe("the engine's own word", () => {
  test("replaces the estimate of what is left, except of jobs it may not have known", () => {
    const { dispatcher, engine } = manual();
    void dispatcher.run(job("a"), never);
    void dispatcher.run(job("b"), never);
    expect(dispatcher.backlogMs).toBe(200);
    engine.stats = stats({ queuedMs: 60 });
    dispatcher.heardStats();
    dispatcher.heardStats();
    expect(dispatcher.backlogMs).toBe(60);
    void dispatcher.run(job("c"), never);
    expect(dispatcher.backlogMs).toBeCloseTo(160);
  });

  test("between two words of it the time that passes is work that is done", () => {
    let clock = 0;
    const { dispatcher } = manual({ now: () => clock });
    void dispatcher.run(job("a"), never);
    clock = 40;
    expect(dispatcher.backlogMs).toBeCloseTo(60);
    void dispatcher.run(job("b"), never);
    expect(dispatcher.backlogMs).toBeCloseTo(160);
    clock = 500;
    expect(dispatcher.backlogMs).toBe(0);
  });

  test("never makes more of it than was let in", () => {
    const { dispatcher } = manual();
    void dispatcher.run(job("a"), never);
    dispatcher.heardStats();
    dispatcher.heardStats();
    expect(dispatcher.backlogMs).toBe(100);
  });
});

describe("bulk work", () => {
  test("waits in the door until the engine's batch has room, partitions in turn", async () => {
    const { dispatcher, names, finish } = manual();
    const of = (partition: string) => ({ partition });
    for (const name of ["a1", "a2", "a3"]) void dispatcher.run(bulk(name, of("a")), never);
    void dispatcher.run(bulk("b1", of("b")), never);
    expect(names()).toEqual(["a1", "a2"]);
    expect([dispatcher.running, dispatcher.depth]).toEqual([2, 2]);
    finish[0]?.();
    await settled();
    expect(names()).toEqual(["a1", "a2", "b1"]);
    finish[1]?.();
    await settled();
    expect(names()).toEqual(["a1", "a2", "b1", "a3"]);
  });

  test("may use half of the bound, and goes when interactive work needs its place", async () => {
    const { dispatcher, names } = manual();
    const runs = ["a", "b", "c", "d", "e"].map((name) => dispatcher.run(bulk(name), never));
    expect(await codeOf(dispatcher.run(bulk("f"), never))).toBe("overloaded");
    expect(names()).toEqual(["a", "b"]);
    for (let at = 0; at < 7; at += 1) void dispatcher.run(job(`i${at}`), never);
    // Twelve would be 1200 ms of 1000: the newest two that had not begun.
    await expect(runs[4]).rejects.toMatchObject({ code: "overloaded", retryAfterS: 1 });
    await expect(runs[3]).rejects.toMatchObject({ code: "overloaded" });
    expect([dispatcher.running, dispatcher.depth]).toEqual([9, 1]);
    expect(names()).not.toContain("c");
  });

  test("that has waited has so much less time in the engine", async () => {
    let clock = 0;
    const { dispatcher, started, finish } = manual({ now: () => clock });
    for (const name of ["a", "b"]) void dispatcher.run(job(name), never);
    const run = dispatcher.run(bulk("c"), never);
    clock = 400;
    finish[0]?.();
    await settled();
    expect(started[2]?.job.deadlineMs).toBe(59_600);
    finish[2]?.();
    expect(await run).toMatchObject({ queueMs: 400 });
  });

  test("is all given to the engine before another takes its place", () => {
    const { dispatcher, names } = manual();
    for (const name of ["a", "b", "c", "d"]) void dispatcher.run(bulk(name), never);
    dispatcher.release();
    expect(names()).toEqual(["a", "b", "c", "d"]);
    expect(dispatcher.depth).toBe(0);
  });
});

describe("ends", () => {
  test("who leaves while it waits is answered at once and never reaches the engine", async () => {
    const { dispatcher, names, finish } = manual();
    for (const name of ["a", "b"]) void dispatcher.run(job(name), never);
    const leaver = new AbortController();
    const waiting = dispatcher.run(bulk("c"), leaver.signal);
    leaver.abort(new AppError("canceled", "gone"));
    await expect(waiting).rejects.toMatchObject({ code: "canceled" });
    expect(dispatcher.depth).toBe(0);
    finish[0]?.();
    await settled();
    expect(names()).toEqual(["a", "b"]);
  });

  test("a deadline answers at once while the engine still works; its place stays taken", async () => {
    const { dispatcher, finish } = manual();
    const late = new AbortController();
    const first = dispatcher.run(job("a"), late.signal);
    late.abort(new AppError("deadline_exceeded", "late"));
    await expect(first).rejects.toMatchObject({ code: "deadline_exceeded" });
    expect(dispatcher.running).toBe(1);
    finish[0]?.();
    await settled();
    expect(dispatcher.running).toBe(0);
  });

  test("while the engine is not ready nothing waits", async () => {
    const { dispatcher, engine } = manual();
    engine.state = "down";
    await expect(dispatcher.run(job("a"), never)).rejects.toMatchObject({
      code: "not_ready",
      retryAfterS: 3,
    });
  });

  test("flush ends what waits with a retryable problem", async () => {
    const { dispatcher } = manual();
    for (const name of ["a", "b"]) void dispatcher.run(job(name), never);
    const waiting = dispatcher.run(bulk("c"), never);
    dispatcher.flush();
    await expect(waiting).rejects.toMatchObject({ code: "engine_restarted" });
  });

  test("draining refuses what comes and finishes what was let in, waiting bulk too", async () => {
    const { dispatcher, finish } = manual();
    const runs = [job("a"), job("b"), bulk("c")].map((each) => dispatcher.run(each, never));
    let drained = false;
    const drain = dispatcher.drain(never).then(() => (drained = true));
    await expect(dispatcher.run(job("d"), never)).rejects.toMatchObject({ code: "not_ready" });
    finish[0]?.();
    finish[1]?.();
    await settled();
    expect(drained).toBe(false);
    finish[2]?.();
    await Promise.all([...runs, drain]);
    expect(drained).toBe(true);
  });

  test("draining ends at its bound", async () => {
    const { dispatcher } = manual();
    void dispatcher.run(job("a"), never);
    await dispatcher.drain(AbortSignal.timeout(5));
  });
});

describe("whoever obeys Retry-After", () => {
  /**
   * An engine in virtual time that does one millisecond of work in one, and says after each job what it has
   * left. `pick` chooses which of so many jobs it works at.
   */
  function working(pick: (count: number) => number) {
    interface Work {
      leftMs: number;
      readonly done: () => void;
    }
    const works: Work[] = [];
    const left = () => works.reduce((sum, { leftMs }) => sum + leftMs, 0);
    let current = stats({ queuedMs: 0, batchRows: 4 });
    const engine = {
      state: "ready" as EngineState,
      get stats() {
        return current;
      },
      holds: () => true,
      retryAfterS: () => 1,
      run: (each: Job) =>
        new Promise<Outcome>((resolve) => {
          const { workMs } = costOf(shapeOf(each, true), current);
          works.push({ leftMs: workMs, done: () => resolve(outcome) });
        }),
    };
    let clock = 0;
    const dispatcher = createDispatcher({
      engine,
      maxQueueMs: 4000,
      maxJobs: 12,
      now: () => clock,
    });
    const pass = async (forMs: number): Promise<void> => {
      let timeMs = forMs;
      while (timeMs > 0 && works.length > 0) {
        const at = pick(works.length);
        const work = works[at];
        if (work === undefined) throw new Error("there is no such work");
        const took = Math.min(timeMs, work.leftMs);
        timeMs -= took;
        clock += took;
        work.leftMs -= took;
        if (work.leftMs > 0) continue;
        works.splice(at, 1);
        work.done();
        current = { ...current, queuedMs: left() };
        dispatcher.heardStats();
        await settled();
      }
      clock += timeMs;
    };
    return { dispatcher, pass };
  }

  test("is let in when nobody else came, in whatever order the engine works", async () => {
    const asked = record({
      priority: constantFrom("interactive" as const, "bulk" as const),
      partition: constantFrom("a", "b", "c"),
      texts: integer({ min: 1, max: 16 }).map((count) => Array.from({ length: count }, () => null)),
      deadlineMs: integer({ min: 500, max: 20_000 }),
      generation: integer({ min: 1, max: 100 }).map((max_new_tokens) =>
        resolveGeneration({ max_new_tokens }),
      ),
    });
    let refusals = 0;
    await assert(
      asyncProperty(array(asked, { minLength: 5, maxLength: 30 }), nat(), async (all, way) => {
        const { dispatcher, pass } = working((count) => way % count);
        const ask = (each: (typeof all)[number]) =>
          dispatcher.run(job("i", each), never).then(
            () => undefined,
            (error: unknown) => error as AppError,
          );
        const pendingOr = async (run: Promise<AppError | undefined>) =>
          Promise.race([run, settled().then(() => undefined)]);
        for (const each of all) {
          const refusal = await pendingOr(ask(each));
          if (refusal === undefined) continue;
          refusals += 1;
          expect(refusal.code).toMatch(/^(overloaded|share_exceeded)$/);
          await pass((refusal.retryAfterS ?? 0) * 1000);
          expect(await pendingOr(ask(each))).toBeUndefined();
        }
      }),
      { numRuns: 60 },
    );
    expect(refusals).toBeGreaterThan(50);
  });
});
