import { resolveGeneration } from "@blip2-edge/shared/contracts/generation";
import { AppError } from "@blip2-edge/shared/problem";
import { describe, expect, test } from "vitest";
import type { GenerateJob } from "./messages.ts";
import { createSuspects, type SuspectsOptions } from "./suspects.ts";

const jobOf = (imageId: string): GenerateJob => ({
  kind: "generate",
  model: "m",
  modelRevision: "r",
  partition: "p",
  imageId,
  texts: [null],
  generation: resolveGeneration({}),
  stream: false,
  priority: "interactive",
  deadlineMs: 1000,
});
const never = new AbortController().signal;
const answered = () => Promise.resolve("answered");
const crash = () => Promise.reject(new AppError("engine_restarted", ""));

function suspectsWith(extra: Partial<SuspectsOptions> = {}) {
  const engine = { life: 0 };
  const clock = { nowMs: 0 };
  const suspects = createSuspects({ life: () => engine.life, now: () => clock.nowMs, ...extra });
  /** The job's outcome: "answered" or the code of its error. */
  const run = (imageId: string, work: () => Promise<string> = answered, signal = never) =>
    suspects.run(jobOf(imageId), signal, work).catch((error: unknown) => {
      if (error instanceof AppError) return error.code;
      throw error;
    });
  const crashWith = async (...imageIds: string[]) => {
    const outcomes = await Promise.all(imageIds.map((imageId) => run(imageId, crash)));
    engine.life += 1;
    return outcomes;
  };
  return { suspects, run, crashWith, clock };
}

describe("suspects", () => {
  test("a job that was in the engine at two crashes is refused, others are not", async () => {
    const { run, crashWith } = suspectsWith();
    expect(await crashWith("bad")).toEqual(["engine_restarted"]);
    expect(await crashWith("bad")).toEqual(["engine_restarted"]);
    expect(await run("bad")).toBe("poison_request");
    expect(await run("good")).toBe("answered");
  });

  test("one that is answered is no suspect any more", async () => {
    const { suspects, run, crashWith } = suspectsWith();
    await crashWith("once");
    expect(await run("once")).toBe("answered");
    expect(suspects.size).toBe(0);
    await crashWith("once");
    expect(await run("once")).toBe("answered");
  });

  test("two alike in one crash are one crash", async () => {
    const { run, crashWith } = suspectsWith();
    await crashWith("same", "same");
    expect(await run("same")).toBe("answered");
  });

  test("another error than the engine's end accuses nobody", async () => {
    const { suspects, run } = suspectsWith();
    expect(await run("a", () => Promise.reject(new AppError("deadline_exceeded", "")))).toBe(
      "deadline_exceeded",
    );
    expect(suspects.size).toBe(0);
  });

  test("pixels are no part of what is compared: the second try may come with or without", async () => {
    const { suspects, crashWith } = suspectsWith();
    await crashWith("a");
    const job = { ...jobOf("a"), pixels: new Uint8Array(3) };
    await expect(suspects.run(job, never, crash)).rejects.toThrow();
    await expect(suspects.run(jobOf("a"), never, answered)).rejects.toMatchObject({
      code: "poison_request",
      kind: { retryable: false },
    });
  });

  test("of those that one crash took along, one runs at a time; an innocent one is not held to account", async () => {
    const { run, crashWith } = suspectsWith();
    await crashWith("bad", "x", "y");
    const order: string[] = [];
    const gate = Promise.withResolvers<string>();
    const x = run("x", () => (order.push("x"), gate.promise));
    const bad = run("bad", () => (order.push("bad"), crash()));
    const stranger = await run("stranger");
    const y = run("y", () => (order.push("y"), answered()));
    expect(stranger).toBe("answered");
    expect(order).toEqual(["x"]);
    gate.resolve("answered");
    expect(await Promise.all([x, bad, y])).toEqual(["answered", "engine_restarted", "answered"]);
    expect(order).toEqual(["x", "bad", "y"]);
  });

  test("who leaves while it waits for its turn holds nobody up", async () => {
    const { run, crashWith } = suspectsWith();
    await crashWith("a", "b", "c");
    const gate = Promise.withResolvers<string>();
    const a = run("a", () => gate.promise);
    const leaving = new AbortController();
    const b = run("b", answered, leaving.signal);
    const c = run("c");
    leaving.abort(new AppError("canceled", ""));
    expect(await b).toBe("canceled");
    gate.resolve("answered");
    expect(await Promise.all([a, c])).toEqual(["answered", "answered"]);
  });

  test("it forgets: after the time, and the oldest beyond its capacity", async () => {
    const { suspects, run, crashWith, clock } = suspectsWith({ capacity: 2, forgetMs: 1000 });
    await crashWith("a");
    await crashWith("a");
    clock.nowMs = 1000;
    expect(await run("a")).toBe("answered");
    for (const each of ["b", "b", "c", "c", "d", "d"]) await crashWith(each);
    expect(suspects.size).toBe(2);
    expect(await run("b")).toBe("answered");
    expect(await run("d")).toBe("poison_request");
  });
});
