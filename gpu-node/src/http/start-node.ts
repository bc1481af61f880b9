// The node put together: engine process, admission, door, socket, in the order in which they start and end.
import { createVerifier, type SigningKey } from "@blip2-edge/shared/wire/signature";
import { createDispatcher } from "../engine/dispatcher.ts";
import { forkEngine } from "../engine/fork-engine.ts";
import type { EngineSettings } from "../engine/messages.ts";
import { createSuccession } from "../engine/succession.ts";
import { createSupervisor, type SupervisorOptions } from "../engine/supervisor.ts";
import { createSuspects } from "../engine/suspects.ts";
import type { Log } from "../observe/log.ts";
import { createMetrics } from "../observe/metrics.ts";
import { createDoor } from "./app.ts";
import { listen } from "./listen.ts";

export interface NodeSettings {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** Every key is accepted. */
  readonly keys: readonly SigningKey[];
  /** Estimated milliseconds of work that may be there. */
  readonly maxQueueMs: number;
  /** Jobs that may be there, whatever they cost. */
  readonly maxJobs: number;
  readonly engine: EngineSettings;
  /** How long what runs may take to finish when the node is told to end. */
  readonly drainMs: number;
  readonly bodyTimeoutMs?: number;
  /** When an engine that ended is started again. */
  readonly restart?: Pick<SupervisorOptions, "firstBackoffMs" | "maxBackoffMs" | "stableMs">;
  /** Resident memory of this process, in bytes. */
  readonly rssBytes: () => number;
}

export interface RunningNode {
  readonly url: string;
  /** Of the engines that run now: the one that takes new jobs first. */
  enginePids(): readonly number[];
  /**
   * Serves what lies in the artifact folders now, without a gap. Errors: why it cannot; the node then goes
   * on with what it served.
   */
  reload(): Promise<unknown>;
  /** Takes nothing new, finishes what runs within the bound, ends the engine. Once. */
  stop(): Promise<void>;
}

/** For answers that are written when the time to finish is over, and for an engine that then still runs. */
const lastWordsMs = 1000;

/**
 * Resolves once the node answers. The port is taken first, so that a wrong one is known before a model
 * loads; until then requests get `not_ready`. `signal` gives up starting.
 * Errors: `usage` for the address, the engine's first error.
 */
export async function startNode(
  settings: NodeSettings,
  log: Log,
  signal?: AbortSignal,
): Promise<RunningNode> {
  let draining = false;
  const logEvent = (event: string, fields?: Readonly<Record<string, unknown>>): void =>
    log.info(event, fields);
  const engine = createSuccession({
    supervise: (hooks) =>
      createSupervisor({
        ...hooks,
        settings: settings.engine,
        fork: forkEngine,
        log: logEvent,
        onVisionPass: () => metrics.visionPass(),
        stopGraceMs: lastWordsMs,
        ...settings.restart,
      }),
    onDown: () => dispatcher.flush(),
    onStats: () => dispatcher.heardStats(),
    beforeSwitch: () => dispatcher.release(),
    log: logEvent,
  });
  const suspects = createSuspects({ life: () => engine.restarts });
  const { maxQueueMs, maxJobs } = settings;
  const dispatcher = createDispatcher({
    engine: {
      get state() {
        return engine.state;
      },
      get stats() {
        return engine.stats;
      },
      holds: (job) => engine.holds(job),
      retryAfterS: () => engine.retryAfterS(),
      run: (job, signal, onText) =>
        suspects.run(job, signal, () => engine.run(job, signal, onText)),
    },
    maxQueueMs,
    maxJobs,
  });
  const metrics = createMetrics({
    queueDepth: () => dispatcher.depth,
    jobsRunning: () => dispatcher.running,
    featureStoreBytes: () => engine.storeBytes,
    engineRestarts: () => engine.restarts,
    engineReady: () => engine.state === "ready",
    doorRssBytes: settings.rssBytes,
  });
  const app = createDoor({
    engine,
    dispatcher,
    verifier: createVerifier({ keys: settings.keys }),
    metrics,
    log,
    draining: () => draining,
    ...(settings.bodyTimeoutMs === undefined ? {} : { bodyTimeoutMs: settings.bodyTimeoutMs }),
  });
  const listener = await listen({
    host: settings.host,
    port: settings.port,
    fetch: (request) => app.fetch(request),
  });

  let stopping: Promise<void> | undefined;
  const stopOnce = async (): Promise<void> => {
    draining = true;
    log.info("stopping");
    // Newcomers are told that the node ends until the last of what was let in has its answer.
    await dispatcher.drain(AbortSignal.timeout(settings.drainMs));
    // What is still there now is told so, too, and connections that carry an answer stay until it is sent.
    const closed = listener.close(AbortSignal.timeout(lastWordsMs));
    await engine.stop();
    await closed;
    log.info("stopped");
  };
  const stop = (): Promise<void> => (stopping ??= stopOnce());

  const giveUp = (): void => void stop();
  signal?.addEventListener("abort", giveUp, { once: true });
  try {
    signal?.throwIfAborted();
    log.info("starting", { url: listener.url, models: settings.engine.modelDirs });
    await engine.start();
    signal?.throwIfAborted();
  } catch (error) {
    await stop();
    throw error;
  } finally {
    signal?.removeEventListener("abort", giveUp);
  }
  return {
    url: listener.url,
    enginePids: () => engine.pids,
    reload: () => engine.reload(),
    stop,
  };
}
