// The door's hold on one engine process: starts it, starts it again with exponential backoff when it
// ends unasked, ends what was in flight with a retryable problem, and mirrors which features it holds.
// Never runs a model itself.
import { AppError } from "@blip2-edge/shared/problem";
import type { CatalogModel } from "@blip2-edge/shared/wire/protocol";
import type { Log } from "../observe/log.ts";
import type { EngineActivity } from "./engine-activity.ts";
import type { EngineChild } from "./fork-engine.ts";
import {
  type EngineSettings,
  type EngineStats,
  fromSentError,
  type ImageJob,
  type Job,
  type Outcome,
  sourceKeys,
} from "./messages.ts";

export type EngineState = "starting" | "ready" | "down" | "stopped";

/** Hears more of one text of a streamed job. */
export type OnText = (index: number, text: string) => void;

export interface Supervisor {
  readonly state: EngineState;
  readonly pid: number | undefined;
  /** As announced by the last engine that was ready; empty before the first. */
  readonly models: readonly CatalogModel[];
  readonly restarts: number;
  readonly storeBytes: number;
  /** What the engine last said of its load; undefined until it has. */
  readonly stats: EngineStats | undefined;
  /** Whether the engine holds what this job needs of its image. */
  holds(job: ImageJob): boolean;
  /** Starts the engine; resolves when it is ready, rejects when the first start fails. */
  start(): Promise<void>;
  /**
   * Settles when the engine is done with the job, also after the signal asked it to stop, from when on
   * `onText` hears no more.
   * Errors: `not_ready`, `engine_restarted`, and the engine's own.
   */
  run(job: Job, signal: AbortSignal, onText?: OnText): Promise<Outcome>;
  /** Seconds until the engine may be ready, for Retry-After. */
  retryAfterS(): number;
  /** Ends the engine at once: what is in flight gets `not_ready`. */
  stop(): Promise<void>;
  /** Ends the engine when it has done what it has; should it end before, none is started again. */
  retire(): Promise<void>;
}

export interface SupervisorOptions {
  readonly settings: EngineSettings;
  readonly fork: () => EngineChild;
  readonly log: Log;
  /** Called whenever an engine that had started is gone. */
  readonly onDown?: () => void;
  /** Called once per vision pass, whether or not its request is answered. */
  readonly onVisionPass?: () => void;
  /** Called with what the engine tells of its work. */
  readonly onActivity?: (activity: EngineActivity) => void;
  /** Called after `stats` has changed. */
  readonly onStats?: () => void;
  readonly now?: () => number;
  readonly firstBackoffMs?: number;
  readonly maxBackoffMs?: number;
  /** An engine that lived this long starts again at the first backoff. */
  readonly stableMs?: number;
  /** An engine that has not answered a cancellation for this long is stuck and is killed. */
  readonly stuckMs?: number;
  readonly stopGraceMs?: number;
}

interface Pending {
  readonly onText: OnText;
  readonly resolve: (outcome: Outcome) => void;
  readonly reject: (error: AppError) => void;
}

export function createSupervisor(options: SupervisorOptions): Supervisor {
  const {
    settings,
    fork,
    log,
    now = () => performance.now(),
    firstBackoffMs = 200,
    maxBackoffMs = 10_000,
    stableMs = 30_000,
    stuckMs = 120_000,
    stopGraceMs = 5_000,
  } = options;
  const pending = new Map<number, Pending>();
  const held = new Set<string>();
  let child: EngineChild | undefined;
  let state: EngineState = "down";
  let models: readonly CatalogModel[] = [];
  let visionKeys: Readonly<Record<string, string>> = {};
  let restarts = 0;
  let storeBytes = 0;
  let stats: EngineStats | undefined;
  let nextId = 1;
  let backoffMs = firstBackoffMs;
  let launchedAt = 0;
  let readyAt = 0;
  let restartAt = 0;
  let loadMs = 0;
  let restartTimer: NodeJS.Timeout | undefined;
  let onStopped: (() => void) | undefined;
  let retiring = false;
  let onIdle: (() => void) | undefined;

  const failPending = (error: AppError): void => {
    const waiting = [...pending.values()];
    pending.clear();
    for (const { reject } of waiting) reject(error);
    onIdle?.();
  };
  const takePending = (id: number): Pending | undefined => {
    const found = pending.get(id);
    pending.delete(id);
    if (pending.size === 0) onIdle?.();
    return found;
  };

  /** Forks once. `onFirst` hears how it went: ready, or the error that ended it. */
  const launch = (onFirst: (error?: AppError) => void): void => {
    const engine = fork();
    child = engine;
    state = "starting";
    launchedAt = now();
    let failure: AppError | undefined;
    engine.onMessage((message) => {
      // The channel may still hold words of an engine whose end is known already.
      if (child !== engine) return;
      switch (message.type) {
        case "ready":
          models = message.models;
          visionKeys = message.visionKeys;
          state = "ready";
          readyAt = now();
          loadMs = readyAt - launchedAt;
          log.info("engine_ready", { engine_pid: engine.pid, load_ms: Math.round(loadMs) });
          onFirst();
          break;
        case "failed":
          failure = fromSentError(message.error);
          engine.kill();
          break;
        case "store":
          for (const key of message.change.removed) held.delete(key);
          if (message.change.added !== undefined) held.add(message.change.added);
          storeBytes = message.change.bytes;
          break;
        case "vision_pass":
          options.onVisionPass?.();
          break;
        case "stats":
          stats = message.stats;
          options.onStats?.();
          break;
        case "activity":
          options.onActivity?.(message.activity);
          break;
        case "text":
          pending.get(message.id)?.onText(message.index, message.text);
          break;
        case "result":
          takePending(message.id)?.resolve(message.outcome);
          break;
        case "error":
          takePending(message.id)?.reject(fromSentError(message.error));
          break;
      }
    });
    engine.onExit((reason) => {
      child = undefined;
      held.clear();
      storeBytes = 0;
      // What an operation costs is as true of the next engine; what this one had left is gone with it.
      if (stats !== undefined) stats = { ...stats, queuedMs: 0 };
      if (state === "stopped") {
        onFirst(new AppError("canceled", "The node was stopped while it started."));
        onStopped?.();
        return;
      }
      const wasReady = state === "ready";
      state = "down";
      if (wasReady && now() - readyAt >= stableMs) backoffMs = firstBackoffMs;
      // Before anybody is answered: what they are told of the time to wait depends on it.
      restartAt = now() + backoffMs;
      const why = failure?.detail ?? reason;
      log.warn("engine_ended", {
        engine_pid: engine.pid,
        reason: why,
        internal: failure?.internal,
      });
      failPending(
        new AppError(
          "engine_restarted",
          "The inference engine stopped during the request; send it again.",
          { internal: why, retryAfterS: retryAfterS() },
        ),
      );
      options.onDown?.();
      onFirst(failure ?? new AppError("internal", "", { internal: `the engine ended: ${why}` }));
      if (models.length === 0) return; // never was ready: the caller of start() decides
      if (retiring) return;
      restartTimer = setTimeout(() => {
        restarts += 1;
        launch(() => {});
      }, backoffMs);
      backoffMs = Math.min(backoffMs * 2, maxBackoffMs);
    });
    engine.send({ type: "start", settings });
  };

  const retryAfterS = (): number => {
    const readyIn = state === "starting" ? launchedAt + loadMs - now() : restartAt + loadMs - now();
    return Math.max(1, Math.ceil(readyIn / 1000));
  };

  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopping ??= stopOnce());
  const stopOnce = async (): Promise<void> => {
    state = "stopped";
    clearTimeout(restartTimer);
    failPending(new AppError("not_ready", "The node is shutting down.", { retryAfterS: 5 }));
    const engine = child;
    if (engine === undefined) return;
    await new Promise<void>((resolve) => {
      const force = setTimeout(() => engine.kill(), stopGraceMs);
      onStopped = () => {
        clearTimeout(force);
        resolve();
      };
      engine.send({ type: "stop" });
    });
  };

  return {
    get state() {
      return state;
    },
    get pid() {
      return child?.pid;
    },
    get models() {
      return models;
    },
    get restarts() {
      return restarts;
    },
    get storeBytes() {
      return storeBytes;
    },
    get stats() {
      return stats;
    },
    holds: (job) =>
      sourceKeys(job, visionKeys[job.modelRevision] ?? "").some((key) => held.has(key)),
    retryAfterS,

    start: () =>
      new Promise((resolve, reject) => {
        launch((error) => (error === undefined ? resolve() : reject(error)));
      }),

    async run(job, signal, onText) {
      const engine = child;
      if (state !== "ready" || engine === undefined || retiring) {
        throw new AppError("not_ready", "The inference engine is starting; try again soon.", {
          retryAfterS: retryAfterS(),
        });
      }
      signal.throwIfAborted();
      const id = nextId;
      nextId += 1;
      let stuckTimer: NodeJS.Timeout | undefined;
      const cancel = (): void => {
        engine.send({ type: "cancel", id });
        stuckTimer = setTimeout(() => {
          log.error("engine_stuck", { engine_pid: engine.pid });
          engine.kill();
        }, stuckMs);
      };
      signal.addEventListener("abort", cancel, { once: true });
      try {
        return await new Promise<Outcome>((resolve, reject) => {
          const heard: OnText = (index, text) => {
            if (!signal.aborted) onText?.(index, text);
          };
          pending.set(id, { resolve, reject, onText: heard });
          engine.send({ type: "run", id, job });
        });
      } finally {
        clearTimeout(stuckTimer);
        signal.removeEventListener("abort", cancel);
      }
    },

    stop,

    async retire() {
      retiring = true;
      clearTimeout(restartTimer);
      if (pending.size > 0) await new Promise<void>((resolve) => (onIdle = resolve));
      await stop();
    },
  };
}
