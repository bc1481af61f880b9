import { AppError } from "@blip2-edge/shared/problem";
import type { CatalogModel } from "@blip2-edge/shared/wire/protocol";
import { describe, expect, test, vi } from "vitest";
import type { Outcome } from "./messages.ts";
import { createSuccession } from "./succession.ts";
import type { Supervisor, SupervisorOptions } from "./supervisor.ts";

const modelOf = (revision: string): CatalogModel => ({
  model: "m",
  model_revision: revision,
  family: "opt",
  image_size: 14,
  abilities: [],
});
const settled = () => new Promise((resolve) => setImmediate(resolve));

interface Fake {
  readonly supervisor: Supervisor;
  readonly hooks: Pick<SupervisorOptions, "onDown" | "onStats">;
  /** Ends the start. */
  readonly started: PromiseWithResolvers<void>;
  /** Ends what it has. */
  readonly idle: PromiseWithResolvers<void>;
}

/** Supervisors of no process: each is kept, and starts and ends when told to. */
function fakes() {
  const made: Fake[] = [];
  const events: string[] = [];
  const supervise = (hooks: Fake["hooks"]): Supervisor => {
    const at = made.length;
    const started = Promise.withResolvers<void>();
    const idle = Promise.withResolvers<void>();
    const supervisor: Supervisor = {
      state: "ready",
      pid: 100 + at,
      models: [modelOf(`r${at}`)],
      restarts: at + 1,
      storeBytes: at,
      stats: undefined,
      holds: () => at === 1,
      start: () => started.promise,
      run: () => Promise.resolve({ kind: "match", matches: [], visionPasses: at } as never),
      retryAfterS: () => at,
      stop: vi.fn(() => {
        events.push(`stop ${at}`);
        return Promise.resolve();
      }),
      async retire() {
        events.push(`retire ${at}`);
        await idle.promise;
        events.push(`gone ${at}`);
      },
    };
    made.push({ supervisor, hooks, started, idle });
    return supervisor;
  };
  const onDown = vi.fn();
  const onStats = vi.fn();
  const log = { info: vi.fn(), warn: vi.fn(), error: vi.fn() };
  const succession = createSuccession({
    supervise,
    onDown,
    onStats,
    beforeSwitch: () => events.push("before"),
    log,
  });
  return { succession, made, events, onDown, onStats, log };
}
const servedBy = async (succession: ReturnType<typeof fakes>["succession"]): Promise<number> => {
  const outcome: Outcome = await succession.run({} as never, new AbortController().signal);
  return outcome.visionPasses;
};

describe("a change of artifacts", () => {
  test("the old engine serves until the new one is warm, then ends what it has", async () => {
    const { succession, made, events } = fakes();
    const reloaded = succession.reload();
    await settled();
    expect(await servedBy(succession)).toBe(0);
    expect(succession.models).toEqual([modelOf("r0")]);
    expect(succession.pids).toEqual([100, 101]);
    made[1]?.started.resolve();
    expect(await reloaded).toEqual([modelOf("r1")]);
    expect(await servedBy(succession)).toBe(1);
    expect([succession.models, succession.storeBytes]).toEqual([[modelOf("r1")], 1]);
    expect(events).toEqual(["before", "retire 0"]);
    expect(succession.pids).toEqual([101, 100]);
    made[0]?.idle.resolve();
    await settled();
    expect(events.at(-1)).toBe("gone 0");
    expect(succession.pids).toEqual([101]);
    expect(succession.restarts).toBe(1 + 2);
  });

  test("a new engine that does not start changes nothing and is ended; the reason is told", async () => {
    const { succession, made, events, log } = fakes();
    const reloaded = succession.reload();
    await settled();
    made[1]?.started.reject(new AppError("artifact_invalid", "no manifest"));
    await expect(reloaded).rejects.toMatchObject({
      code: "artifact_invalid",
      detail: "The node goes on with what it served: no manifest",
    });
    expect(await servedBy(succession)).toBe(0);
    expect(events).toEqual(["stop 1"]);
    expect(log.warn).toHaveBeenCalledWith("reload_failed", {
      reason: "no manifest",
      internal: undefined,
    });
    expect(succession.pids).toEqual([100]);
    // And the next change is free to succeed.
    const again = succession.reload();
    await settled();
    made[2]?.started.resolve();
    await again;
    expect(await servedBy(succession)).toBe(2);
  });

  test("asked for during another it follows it, once however often", async () => {
    const { succession, made } = fakes();
    const first = succession.reload();
    await settled();
    const second = succession.reload();
    const third = succession.reload();
    expect(made).toHaveLength(2);
    made[1]?.started.resolve();
    await first;
    await settled();
    expect(made).toHaveLength(3);
    made[2]?.started.resolve();
    expect(await second).toEqual([modelOf("r2")]);
    expect(await third).toEqual([modelOf("r2")]);
    expect(made).toHaveLength(3);
  });

  test("only the engine in place is heard of", async () => {
    const { succession, made, onDown, onStats } = fakes();
    const reloaded = succession.reload();
    await settled();
    made[1]?.hooks.onDown?.();
    made[1]?.hooks.onStats?.();
    expect(onDown).not.toHaveBeenCalled();
    made[1]?.started.resolve();
    await reloaded;
    made[0]?.hooks.onDown?.();
    made[0]?.hooks.onStats?.();
    expect([onDown, onStats].map((each) => each.mock.calls.length)).toEqual([0, 0]);
    made[1]?.hooks.onDown?.();
    made[1]?.hooks.onStats?.();
    expect([onDown, onStats].map((each) => each.mock.calls.length)).toEqual([1, 1]);
  });
});

test("stop ends every engine, and a change under way takes no place", async () => {
  const { succession, made, events } = fakes();
  const reloaded = succession.reload();
  await settled();
  await succession.stop();
  made[1]?.started.resolve();
  await expect(reloaded).rejects.toMatchObject({ code: "not_ready" });
  expect(events).toEqual(["stop 0", "stop 1", "stop 1"]);
  await expect(succession.reload()).rejects.toMatchObject({ code: "not_ready" });
  expect(made).toHaveLength(2);
});
