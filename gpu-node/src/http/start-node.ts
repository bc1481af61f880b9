// The node put together: engine process, admission, door, socket, in the order in which they start and end.
import type { HeartbeatResponse } from "@blip2-edge/shared/wire/heartbeat";
import { createVerifier, type SigningKeys } from "@blip2-edge/shared/wire/signature";
import { createDispatcher } from "../engine/dispatcher.ts";
import { forkEngine } from "../engine/fork-engine.ts";
import type { EngineSettings } from "../engine/messages.ts";
import { createSuccession } from "../engine/succession.ts";
import { createSupervisor, type SupervisorOptions } from "../engine/supervisor.ts";
import { createSuspects } from "../engine/suspects.ts";
import type { Log } from "../observe/log.ts";
import { createLoopLag } from "../observe/loop-lag.ts";
import { createMetrics } from "../observe/metrics.ts";
import { openTracing } from "../observe/open-tracing.ts";
import type { TracingSettings } from "../observe/tracing.ts";
import packageFile from "../../package.json" with { type: "json" };
import { createAnnouncer } from "./announcer.ts";
import { createDoor } from "./app.ts";
import { listen } from "./listen.ts";

export interface NodeSettings {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** Every key is accepted. */
  readonly keys: SigningKeys;
  /** Estimated milliseconds of work that may be there. */
  readonly maxQueueMs: number;
  /** Jobs that may be there, whatever they cost. */
  readonly maxJobs: number;
  readonly engine: EngineSettings;
  /** How long what runs may take to finish when the node is told to end. */
  readonly drainMs: number;
  readonly bodyTimeoutMs?: number;
  /** To whom it announces itself; without it to nobody. */
  readonly announce?: {
    readonly edgeUrl: string;
    /** Where the edge reaches it; undefined: where `reach` says, or where it listens. */
    readonly as: string | undefined;
    readonly weight: number;
    /** Opens the way to where it listens while the engine loads; resolves with its outer end. */
    readonly reach?: ((url: string) => Promise<string | undefined>) | undefined;
    readonly onTold?: ((answer: HeartbeatResponse) => Promise<void>) | undefined;
  };
  /** Where traces are sent; without it nowhere. */
  readonly tracing?: TracingSettings;
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
  const engine = createSuccession({
    supervise: (hooks) =>
      createSupervisor({
        ...hooks,
        settings: settings.engine,
        fork: forkEngine,
        log,
        onVisionPass: () => metrics.visionPass(),
        onActivity: (activity) => metrics.engine(activity),
        stopGraceMs: lastWordsMs,
        ...settings.restart,
      }),
    onDown: () => {
      metrics.engineGone();
      dispatcher.flush();
      announcer?.now();
    },
    onStats: () => dispatcher.heardStats(),
    beforeSwitch: () => dispatcher.release(),
    log,
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
    onRefused: (why) => metrics.refused(why),
  });
  const loopLag = createLoopLag();
  const metrics = createMetrics({
    load: () => dispatcher.load(),
    jobsRunning: () => dispatcher.running,
    featureStoreBytes: () => engine.storeBytes,
    engineRestarts: () => engine.restarts,
    engineReady: () => engine.state === "ready",
    nodeReady: () => engine.state === "ready" && !draining,
    models: () => engine.models,
    doorRssBytes: settings.rssBytes,
    doorLoopLag: () => loopLag.read(),
  });
  const tracing = await openTracing(settings.tracing, { log, metrics });
  const app = createDoor({
    engine,
    dispatcher,
    verifier: createVerifier({ keys: settings.keys }),
    metrics,
    log,
    tracing,
    draining: () => draining,
    ...(settings.bodyTimeoutMs === undefined ? {} : { bodyTimeoutMs: settings.bodyTimeoutMs }),
  });
  const listener = await listen({
    host: settings.host,
    port: settings.port,
    fetch: (request) => app.fetch(request),
  });

  const { announce } = settings;
  let reachedAt = announce?.as ?? listener.url;
  const announcer =
    announce === undefined
      ? undefined
      : createAnnouncer({
          edgeUrl: announce.edgeUrl,
          url: () => reachedAt,
          keys: settings.keys,
          onTold: announce.onTold,
          version: packageFile.version,
          log,
          describe: () => {
            const { interactive, bulk } = dispatcher.load();
            return {
              state: engine.state === "ready" && !draining ? "ready" : "not_ready",
              capacity: { weight: announce.weight, max_jobs: maxJobs, max_work_ms: maxQueueMs },
              load: {
                jobs: dispatcher.depth + dispatcher.running,
                work_ms: Math.round(interactive.workMs + bulk.workMs),
              },
              models: [...engine.models],
            };
          },
        });

  let stopping: Promise<void> | undefined;
  const stopOnce = async (): Promise<void> => {
    draining = true;
    log.info("stopping");
    const said = announcer?.leave();
    // Newcomers are told that the node ends until the last of what was let in has its answer.
    await dispatcher.drain(AbortSignal.timeout(settings.drainMs));
    // What is still there now is told so, too, and connections that carry an answer stay until it is sent.
    const closed = listener.close(AbortSignal.timeout(lastWordsMs));
    await engine.stop();
    await closed;
    await said;
    await tracing.stop();
    loopLag.stop();
    log.info("stopped");
  };
  const stop = (): Promise<void> => (stopping ??= stopOnce());

  const giveUp = (): void => void stop();
  signal?.addEventListener("abort", giveUp, { once: true });
  try {
    signal?.throwIfAborted();
    log.info("starting", { url: listener.url, models: settings.engine.modelDirs });
    const [, outer] = await Promise.all([engine.start(), announce?.reach?.(listener.url)]);
    signal?.throwIfAborted();
    reachedAt = announce?.as ?? outer ?? reachedAt;
    announcer?.start();
  } catch (error) {
    await stop();
    throw error;
  } finally {
    signal?.removeEventListener("abort", giveUp);
  }
  return {
    url: listener.url,
    enginePids: () => engine.pids,
    async reload() {
      const models = await engine.reload();
      announcer?.now();
      return models;
    },
    stop,
  };
}
