// The engine as the door sees it: the one that takes new jobs. A change to new artifacts is a second engine
// that is started beside it and takes its place once it is warm; the first one ends when it has done what it
// has. Should the second not start, nothing has changed.
import { AppError } from "@blip2-edge/shared/problem";
import type { CatalogModel } from "@blip2-edge/shared/wire/protocol";
import type { Log } from "../observe/log.ts";
import type { Supervisor, SupervisorOptions } from "./supervisor.ts";

type Hooks = Required<Pick<SupervisorOptions, "onDown" | "onStats">>;

export interface Succession extends Omit<Supervisor, "pid" | "retire"> {
  /** Of every engine that runs: the one in place first. */
  readonly pids: readonly number[];
  /**
   * Opens the configured artifacts again in a new engine; resolves with what it serves once it is in place.
   * While one change is under way, the next waits for it.
   * Errors: `not_ready` when the node ends, and why the new engine did not start; the old one then goes on.
   */
  reload(): Promise<readonly CatalogModel[]>;
}

export interface SuccessionOptions extends Hooks {
  readonly supervise: (hooks: Hooks) => Supervisor;
  /** Called while the old engine still takes jobs, just before it takes no more. */
  readonly beforeSwitch: () => void;
  readonly log: Log;
}

const named = (models: readonly CatalogModel[]): string[] =>
  models.map(({ model, model_revision }) => `${model} ${model_revision}`);

const shuttingDown = (): AppError =>
  new AppError("not_ready", "The node is shutting down.", { retryAfterS: 5 });

export function createSuccession(options: SuccessionOptions): Succession {
  const { beforeSwitch, log } = options;
  const all = new Set<Supervisor>();
  let stopped = false;
  let earlierRestarts = 0;

  const supervise = (): Supervisor => {
    const one: Supervisor = options.supervise({
      onDown: () => {
        if (one === current) options.onDown();
      },
      onStats: () => {
        if (one === current) options.onStats();
      },
    });
    all.add(one);
    return one;
  };
  let current = supervise();
  let reloading: Promise<unknown> = Promise.resolve();
  let nextReload: Promise<readonly CatalogModel[]> | undefined;

  const reloadOnce = async (): Promise<readonly CatalogModel[]> => {
    nextReload = undefined;
    if (stopped) throw shuttingDown();
    log.info("reload_started", { models: named(current.models) });
    const next = supervise();
    try {
      await next.start();
      if (stopped) throw shuttingDown();
    } catch (error) {
      all.delete(next);
      if (stopped) {
        await next.stop();
        throw shuttingDown();
      }
      const known = error instanceof AppError ? error : new AppError("internal", "");
      const why = known.detail || known.kind.title;
      log.warn("reload_failed", { reason: why, internal: known.internal });
      await next.stop();
      throw new AppError(known.code, `The node goes on with what it served: ${why}`, {
        cause: error,
        ...(known.internal === undefined ? {} : { internal: known.internal }),
      });
    }
    beforeSwitch();
    const old = current;
    current = next;
    earlierRestarts += old.restarts;
    log.info("reloaded", { models: named(next.models), engine_pid: next.pid });
    void old.retire().finally(() => all.delete(old));
    return next.models;
  };

  return {
    get state() {
      return current.state;
    },
    get pids() {
      const pids = [current, ...all].flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
      return [...new Set(pids)];
    },
    get models() {
      return current.models;
    },
    get restarts() {
      return earlierRestarts + current.restarts;
    },
    get storeBytes() {
      return current.storeBytes;
    },
    get stats() {
      return current.stats;
    },
    holds: (job) => current.holds(job),
    retryAfterS: () => current.retryAfterS(),
    start: () => current.start(),
    run: (job, signal, onText) => current.run(job, signal, onText),

    reload() {
      if (nextReload === undefined) {
        nextReload = reloading.then(reloadOnce);
        reloading = nextReload.catch(() => {});
      }
      return nextReload;
    },

    async stop() {
      stopped = true;
      await Promise.all([...all].map((each) => each.stop()));
    },
  };
}
