import { resolveGeneration } from "@blip2-edge/shared/contracts/generation";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { silentLog } from "../observe/log.ts";
import type { EngineChild } from "./fork-engine.ts";
import type {
  EmbedImageJob,
  GenerateJob,
  MatchJob,
  FromEngine,
  Outcome,
  ToEngine,
} from "./messages.ts";
import { createSupervisor } from "./supervisor.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());

const settings = {
  modelDirs: ["m"],
  threads: 1,
  provider: "cpu" as const,
  featureStoreMaxBytes: 0,
};
const job: GenerateJob = {
  kind: "generate",
  model: "m",
  modelRevision: "r",
  priority: "interactive",
  deadlineMs: 1000,
  stream: false,
  partition: "p",
  imageId: "i",
  texts: [null],
  generation: resolveGeneration({ max_new_tokens: 1 }),
};
const outcome: Outcome = {
  kind: "generate",
  results: [],
  visionPasses: 1,
  firstTokenMs: 1,
  stages: { vision: 1 },
};
const never = new AbortController().signal;

/** Processes that are none: each fork is kept, told what to say and when to end. */
function fakeProcesses() {
  const forks: {
    sent: ToEngine[];
    says: (message: FromEngine) => void;
    ends: (reason: string) => void;
    killed: boolean;
  }[] = [];
  const fork = (): EngineChild => {
    const entry: (typeof forks)[number] = {
      sent: [],
      says: () => {},
      ends: () => {},
      killed: false,
    };
    forks.push(entry);
    return {
      pid: 100 + forks.length,
      send: (message) => void entry.sent.push(message),
      onMessage: (listener) => void (entry.says = listener),
      onExit: (listener) => void (entry.ends = listener),
      kill: () => {
        entry.killed = true;
        entry.ends("SIGKILL");
      },
    };
  };
  return { forks, fork };
}

async function startedSupervisor(extra: Partial<Parameters<typeof createSupervisor>[0]> = {}) {
  const { forks, fork } = fakeProcesses();
  const supervisor = createSupervisor({ settings, fork, log: silentLog, ...extra });
  const started = supervisor.start();
  forks[0]?.says({
    type: "ready",
    models: [
      {
        model: "m",
        model_revision: "0123456789abcdef",
        family: "opt",
        image_size: 224,
        abilities: ["caption"],
        question_template: "{}",
      },
    ],
    visionKeys: { r: "v" },
  });
  await started;
  return { supervisor, forks };
}

describe("supervisor", () => {
  test("a job goes to the engine and its outcome comes back", async () => {
    const { supervisor, forks } = await startedSupervisor();
    const answer = supervisor.run(job, never);
    expect(forks[0]?.sent.at(-1)).toEqual({ type: "run", id: 1, job });
    forks[0]?.says({ type: "result", id: 1, outcome });
    expect(await answer).toEqual(outcome);
  });

  test("text is told to who asked, until the job ends or its caller has left", async () => {
    const { supervisor, forks } = await startedSupervisor();
    const says = (id: number, text: string) => forks[0]?.says({ type: "text", id, index: 0, text });
    const heard: string[] = [];
    const leaver = new AbortController();
    const first = supervisor.run(job, never, (index, text) => heard.push(`1.${index} ${text}`));
    const second = supervisor.run(job, leaver.signal, (_, text) => heard.push(`2 ${text}`));
    const deaf = supervisor.run(job, never);
    says(2, "a");
    says(1, "b");
    says(3, "c");
    leaver.abort();
    says(2, "d");
    for (const id of [1, 2, 3]) forks[0]?.says({ type: "result", id, outcome });
    says(1, "e");
    await Promise.all([first, second, deaf]);
    expect(heard).toEqual(["2 a", "1.0 b"]);
  });

  test("what the engine says of its load is kept; what it had left ends with it", async () => {
    const onStats = vi.fn();
    const { supervisor, forks } = await startedSupervisor({ onStats });
    expect(supervisor.stats).toBeUndefined();
    const stats = { queuedMs: 7, costs: { visionMs: 3 }, batchRows: 4 };
    forks[0]?.says({ type: "stats", stats });
    expect(supervisor.stats).toEqual(stats);
    expect(onStats).toHaveBeenCalledOnce();
    forks[0]?.ends("SIGKILL");
    expect(supervisor.stats).toEqual({ ...stats, queuedMs: 0 });
  });

  test("a first start that fails is the error of start()", async () => {
    const { forks, fork } = fakeProcesses();
    const supervisor = createSupervisor({ settings, fork, log: silentLog });
    const started = supervisor.start();
    forks[0]?.says({ type: "failed", error: { code: "artifact_invalid", detail: "no manifest" } });
    await expect(started).rejects.toMatchObject({
      code: "artifact_invalid",
      detail: "no manifest",
    });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(forks).toHaveLength(1);
  });

  test("when the engine ends, what was in flight is retryable and a new one is started", async () => {
    const onDown = vi.fn();
    const { supervisor, forks } = await startedSupervisor({ onDown });
    const answer = supervisor.run(job, never);
    forks[0]?.ends("SIGKILL");
    await expect(answer).rejects.toMatchObject({ code: "engine_restarted" });
    expect(onDown).toHaveBeenCalledOnce();
    expect(supervisor.state).toBe("down");
    await expect(supervisor.run(job, never)).rejects.toMatchObject({
      code: "not_ready",
      retryAfterS: 1,
    });
    await vi.advanceTimersByTimeAsync(200);
    expect(supervisor.state).toBe("starting");
    forks[1]?.says({ type: "ready", models: supervisor.models, visionKeys: {} });
    expect(supervisor.state).toBe("ready");
    expect(supervisor.restarts).toBe(1);
    expect(supervisor.pid).toBe(102);
  });

  test("the pause doubles up to its bound and starts over after a stable life", async () => {
    const { supervisor, forks } = await startedSupervisor({ maxBackoffMs: 800, stableMs: 5000 });
    for (const [index, pauseMs] of [200, 400, 800, 800].entries()) {
      forks[index]?.ends("exit code 1");
      await vi.advanceTimersByTimeAsync(pauseMs - 1);
      expect(forks).toHaveLength(index + 1);
      await vi.advanceTimersByTimeAsync(1);
      expect(forks).toHaveLength(index + 2);
    }
    forks[4]?.says({ type: "ready", models: supervisor.models, visionKeys: {} });
    await vi.advanceTimersByTimeAsync(5000);
    forks[4]?.ends("SIGSEGV");
    await vi.advanceTimersByTimeAsync(200);
    expect(forks).toHaveLength(6);
  });

  test("who was in flight is told of the pause that there will be, not of one before", async () => {
    const { supervisor, forks } = await startedSupervisor({ firstBackoffMs: 4000 });
    const answer = supervisor.run(job, never);
    forks[0]?.ends("SIGKILL");
    await expect(answer).rejects.toMatchObject({ code: "engine_restarted", retryAfterS: 4 });
  });

  test("what the channel still held of an engine that has ended is not believed", async () => {
    const { supervisor, forks } = await startedSupervisor();
    forks[0]?.ends("SIGKILL");
    forks[0]?.says({ type: "ready", models: supervisor.models, visionKeys: { r: "v" } });
    forks[0]?.says({ type: "store", change: { added: "p/i/r", removed: [], bytes: 64 } });
    expect(supervisor.state).toBe("down");
    await vi.advanceTimersByTimeAsync(200);
    forks[1]?.says({ type: "ready", models: supervisor.models, visionKeys: { r: "v" } });
    expect(supervisor.holds(job)).toBe(false);
    expect(supervisor.storeBytes).toBe(0);
  });

  test("an abort cancels in the engine; the promise waits for the engine's word", async () => {
    const { supervisor, forks } = await startedSupervisor();
    const controller = new AbortController();
    const answer = supervisor.run(job, controller.signal);
    controller.abort();
    expect(forks[0]?.sent.at(-1)).toEqual({ type: "cancel", id: 1 });
    forks[0]?.says({ type: "error", id: 1, error: { code: "canceled", detail: "" } });
    await expect(answer).rejects.toMatchObject({ code: "canceled" });
    await vi.advanceTimersByTimeAsync(200_000);
    expect(forks[0]?.killed).toBe(false);
  });

  test("an engine that never answers a cancellation is killed and replaced", async () => {
    const { supervisor, forks } = await startedSupervisor({ stuckMs: 1000 });
    const controller = new AbortController();
    const answer = supervisor.run(job, controller.signal);
    const refused = expect(answer).rejects.toMatchObject({ code: "engine_restarted" });
    controller.abort();
    await vi.advanceTimersByTimeAsync(1000);
    await refused;
    expect(forks[0]?.killed).toBe(true);
    await vi.advanceTimersByTimeAsync(200);
    expect(forks).toHaveLength(2);
  });

  test("it knows what the engine holds and forgets it with the engine", async () => {
    const onVisionPass = vi.fn();
    const { supervisor, forks } = await startedSupervisor({ onVisionPass });
    expect(supervisor.holds(job)).toBe(false);
    forks[0]?.says({ type: "store", change: { added: "p/i/r", removed: [], bytes: 64 } });
    expect(supervisor.holds(job)).toBe(true);
    expect(supervisor.holds({ ...job, partition: "other" })).toBe(false);
    expect(supervisor.storeBytes).toBe(64);
    forks[0]?.says({ type: "store", change: { added: "q/i/r", removed: ["p/i/r"], bytes: 64 } });
    expect(supervisor.holds(job)).toBe(false);
    expect(onVisionPass).not.toHaveBeenCalled();
    forks[0]?.says({ type: "vision_pass" });
    expect(onVisionPass).toHaveBeenCalledOnce();
    forks[0]?.ends("SIGKILL");
    expect(supervisor.holds({ ...job, partition: "q" })).toBe(false);
    expect(supervisor.storeBytes).toBe(0);
  });

  test("what the vision tower saw serves every job; query vectors only those that need no more", async () => {
    const { supervisor, forks } = await startedSupervisor();
    const { texts: _, generation: __, stream: ___, ...about } = job;
    const match = (scores: ("itm" | "itc")[]): MatchJob => ({
      ...about,
      kind: "match",
      texts: ["a"],
      scores,
    });
    const embed = (features: "projected" | "query"): EmbedImageJob => ({
      ...about,
      kind: "embed_image",
      features,
    });
    const jobs = [job, match(["itc"]), embed("projected"), match(["itc", "itm"]), embed("query")];
    const held = () => jobs.map((each) => supervisor.holds(each));
    forks[0]?.says({ type: "store", change: { added: "p/i/r", removed: [], bytes: 1 } });
    expect(held()).toEqual([true, true, true, false, false]);
    forks[0]?.says({
      type: "store",
      change: { added: "p/i/vision/v", removed: ["p/i/r"], bytes: 1 },
    });
    expect(held()).toEqual([true, true, true, true, true]);
    forks[0]?.says({
      type: "store",
      change: { added: "p/i/vision/w", removed: ["p/i/vision/v"], bytes: 1 },
    });
    expect(held()).toEqual([false, false, false, false, false]);
  });

  test("retired, it takes nothing more, finishes what it has and ends the engine", async () => {
    const { supervisor, forks } = await startedSupervisor();
    const answer = supervisor.run(job, never);
    let gone = false;
    const retired = supervisor.retire().then(() => (gone = true));
    await expect(supervisor.run(job, never)).rejects.toMatchObject({ code: "not_ready" });
    expect(forks[0]?.sent.at(-1)).toMatchObject({ type: "run" });
    forks[0]?.says({ type: "result", id: 1, outcome });
    expect(await answer).toEqual(outcome);
    await vi.advanceTimersByTimeAsync(0);
    expect(forks[0]?.sent.at(-1)).toEqual({ type: "stop" });
    expect(gone).toBe(false);
    forks[0]?.ends("exit code 0");
    await retired;
  });

  test("an engine that ends while it is retired is not started again", async () => {
    const { supervisor, forks } = await startedSupervisor();
    const answer = supervisor.run(job, never);
    const retired = supervisor.retire();
    forks[0]?.ends("SIGKILL");
    await expect(answer).rejects.toMatchObject({ code: "engine_restarted" });
    await retired;
    await vi.advanceTimersByTimeAsync(60_000);
    expect(forks).toHaveLength(1);
  });

  test("stop during the first start ends that start", async () => {
    const { forks, fork } = fakeProcesses();
    const supervisor = createSupervisor({ settings, fork, log: silentLog });
    const started = supervisor.start();
    const stopped = supervisor.stop();
    forks[0]?.ends("exit code 0");
    await stopped;
    await expect(started).rejects.toMatchObject({ code: "canceled" });
  });

  test("stop asks the engine to end, insists after the grace, and starts none again", async () => {
    const { supervisor, forks } = await startedSupervisor({ stopGraceMs: 1000 });
    const stopped = supervisor.stop();
    expect(forks[0]?.sent.at(-1)).toEqual({ type: "stop" });
    await vi.advanceTimersByTimeAsync(1000);
    await stopped;
    expect(forks[0]?.killed).toBe(true);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(forks).toHaveLength(1);
  });
});
