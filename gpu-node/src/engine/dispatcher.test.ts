import { resolveGeneration } from "@blip2-edge/shared/contracts/generation";
import { AppError } from "@blip2-edge/shared/problem";
import { describe, expect, test } from "vitest";
import { createDispatcher } from "./dispatcher.ts";
import type { GenerateJob, Job, Outcome } from "./messages.ts";
import type { EngineState } from "./supervisor.ts";

const outcome: Outcome = {
  kind: "generate",
  results: [],
  visionPasses: 0,
  stages: {},
};
const job = (imageId: string): GenerateJob => ({
  kind: "generate",
  model: "m",
  modelRevision: "r",
  partition: "p",
  imageId,
  texts: [null],
  generation: resolveGeneration({ max_new_tokens: 1 }),
});
const never = new AbortController().signal;

/** An engine that finishes a job when told to. */
function manualEngine() {
  const started: string[] = [];
  const finish: ((error?: Error) => void)[] = [];
  const engine = {
    state: "ready" as EngineState,
    retryAfterS: () => 3,
    run: (each: Job) =>
      new Promise<Outcome>((resolve, reject) => {
        started.push("imageId" in each ? each.imageId : "");
        finish.push((error) => (error === undefined ? resolve(outcome) : reject(error)));
      }),
  };
  return { engine, started, finish };
}

describe("dispatcher", () => {
  test("one job runs, the next starts in order when it is done", async () => {
    const { engine, started, finish } = manualEngine();
    const dispatcher = createDispatcher({ engine, maxQueue: 4 });
    const first = dispatcher.run(job("a"), never);
    const second = dispatcher.run(job("b"), never);
    const third = dispatcher.run(job("c"), never);
    expect(started).toEqual(["a"]);
    expect(dispatcher.depth).toBe(2);
    finish[0]?.();
    await first;
    expect(started).toEqual(["a", "b"]);
    finish[1]?.(new Error("broken"));
    await expect(second).rejects.toThrow("broken");
    finish[2]?.();
    expect(await third).toMatchObject({ visionPasses: 0 });
    expect(dispatcher.depth).toBe(0);
  });

  test("a full queue is refused at once with a Retry-After from the running mean", async () => {
    let clock = 0;
    const { engine, finish } = manualEngine();
    const dispatcher = createDispatcher({ engine, maxQueue: 1, now: () => clock });
    const warm = dispatcher.run(job("w"), never);
    clock = 4000;
    finish[0]?.();
    await warm;
    const running = dispatcher.run(job("a"), never);
    const waiting = dispatcher.run(job("b"), never);
    await expect(dispatcher.run(job("c"), never)).rejects.toMatchObject({
      code: "overloaded",
      retryAfterS: 8,
    });
    finish[1]?.();
    await running;
    finish[2]?.();
    await waiting;
  });

  test("who leaves the queue is answered at once and never reaches the engine", async () => {
    const { engine, started, finish } = manualEngine();
    const dispatcher = createDispatcher({ engine, maxQueue: 4 });
    const first = dispatcher.run(job("a"), never);
    const leaver = new AbortController();
    const second = dispatcher.run(job("b"), leaver.signal);
    leaver.abort(new AppError("canceled", "gone"));
    await expect(second).rejects.toMatchObject({ code: "canceled" });
    expect(dispatcher.depth).toBe(0);
    finish[0]?.();
    await first;
    expect(started).toEqual(["a"]);
  });

  test("a deadline answers at once while the engine still works; its place stays taken", async () => {
    const { engine, started, finish } = manualEngine();
    const dispatcher = createDispatcher({ engine, maxQueue: 4 });
    const late = new AbortController();
    const first = dispatcher.run(job("a"), late.signal);
    const second = dispatcher.run(job("b"), never);
    late.abort(new AppError("deadline_exceeded", "late"));
    await expect(first).rejects.toMatchObject({ code: "deadline_exceeded" });
    expect(started).toEqual(["a"]);
    finish[0]?.();
    await Promise.resolve();
    await new Promise((resolve) => setImmediate(resolve));
    expect(started).toEqual(["a", "b"]);
    finish[1]?.();
    await second;
  });

  test("while the engine is not ready nothing waits", async () => {
    const { engine } = manualEngine();
    engine.state = "down";
    const dispatcher = createDispatcher({ engine, maxQueue: 4 });
    await expect(dispatcher.run(job("a"), never)).rejects.toMatchObject({
      code: "not_ready",
      retryAfterS: 3,
    });
  });

  test("flush ends what waits with a retryable problem", async () => {
    const { engine, finish } = manualEngine();
    const dispatcher = createDispatcher({ engine, maxQueue: 4 });
    const first = dispatcher.run(job("a"), never);
    const second = dispatcher.run(job("b"), never);
    dispatcher.flush();
    await expect(second).rejects.toMatchObject({ code: "engine_restarted" });
    finish[0]?.();
    await first;
  });

  test("draining refuses what comes and waits for what is there", async () => {
    const { engine, finish } = manualEngine();
    const dispatcher = createDispatcher({ engine, maxQueue: 4 });
    const first = dispatcher.run(job("a"), never);
    let drained = false;
    const drain = dispatcher.drain(never).then(() => (drained = true));
    await expect(dispatcher.run(job("b"), never)).rejects.toMatchObject({ code: "not_ready" });
    expect(drained).toBe(false);
    finish[0]?.();
    await first;
    await drain;
    expect(drained).toBe(true);
  });

  test("draining ends at its bound", async () => {
    const { engine } = manualEngine();
    const dispatcher = createDispatcher({ engine, maxQueue: 4 });
    void dispatcher.run(job("a"), never);
    await dispatcher.drain(AbortSignal.timeout(5));
  });
});
