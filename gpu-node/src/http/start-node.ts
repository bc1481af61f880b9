// The node put together: engine process, queue, door, socket, in the order in which they start and end.
import { createVerifier, type SigningKey } from "@blip2-edge/shared/wire/signature";
import { createDispatcher } from "../engine/dispatcher.ts";
import { forkEngine } from "../engine/fork-engine.ts";
import type { EngineSettings } from "../engine/messages.ts";
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
  /** Jobs that may wait. */
  readonly maxQueue: number;
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
  /** Of the engines that run now. */
  enginePids(): number[];
  /** Takes nothing new, finishes what runs within the bound, ends the engine. Once. */
  stop(): Promise<void>;
}

/** What an engine does after the drain has ended is for nobody; answers get this long to leave. */
const stopGraceMs = 1000;

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
  const supervisor = createSupervisor({
    settings: settings.engine,
    fork: forkEngine,
    log: (event, fields) => log.info(event, fields),
    onDown: () => dispatcher.flush(),
    onVisionPass: () => metrics.visionPass(),
    stopGraceMs,
    ...settings.restart,
  });
  const suspects = createSuspects({ life: () => supervisor.restarts });
  const dispatcher = createDispatcher({
    engine: {
      get state() {
        return supervisor.state;
      },
      retryAfterS: () => supervisor.retryAfterS(),
      run: (job, signal) => suspects.run(job, signal, () => supervisor.run(job, signal)),
    },
    maxQueue: settings.maxQueue,
  });
  const metrics = createMetrics({
    queueDepth: () => dispatcher.depth,
    jobsRunning: () => dispatcher.running,
    featureStoreBytes: () => supervisor.storeBytes,
    engineRestarts: () => supervisor.restarts,
    engineReady: () => supervisor.state === "ready",
    doorRssBytes: settings.rssBytes,
  });
  const app = createDoor({
    engine: supervisor,
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
    const bound = AbortSignal.timeout(settings.drainMs);
    // Newcomers are told that the node is not ready until the last of what runs has its answer. What the bound
    // leaves over gets its problem from the stop, and the socket closes when answers have been sent.
    await dispatcher.drain(bound);
    const ended = supervisor.stop();
    await listener.close(bound.aborted ? AbortSignal.timeout(stopGraceMs) : bound);
    await ended;
    log.info("stopped");
  };
  const stop = (): Promise<void> => (stopping ??= stopOnce());

  const giveUp = (): void => void stop();
  signal?.addEventListener("abort", giveUp, { once: true });
  try {
    signal?.throwIfAborted();
    log.info("starting", { url: listener.url, models: settings.engine.modelDirs });
    await supervisor.start();
    signal?.throwIfAborted();
  } catch (error) {
    await stop();
    throw error;
  } finally {
    signal?.removeEventListener("abort", giveUp);
  }
  return {
    url: listener.url,
    enginePids: () => (supervisor.pid === undefined ? [] : [supervisor.pid]),
    stop,
  };
}
