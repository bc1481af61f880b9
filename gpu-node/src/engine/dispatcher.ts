// The bounded queue between the door and an engine: first come, first served, one job in the engine at
// a time. A caller that leaves or whose deadline passes is answered at once; its place in the engine is
// free when the engine says so. Continuous batching will put more than one job there.
import { AppError } from "@blip2-edge/shared/problem";
import type { Job, Outcome } from "./messages.ts";
import type { Supervisor } from "./supervisor.ts";

export type Dispatched = Outcome & { readonly queueMs: number };

export interface Dispatcher {
  /** Jobs that wait; the one in the engine is not counted. */
  readonly depth: number;
  /** Jobs in the engine. */
  readonly running: number;
  /**
   * Errors: `overloaded` and `not_ready` at once, the signal's reason, `engine_restarted`, the engine's.
   */
  run(job: Job, signal: AbortSignal): Promise<Dispatched>;
  /** Ends what waits with `engine_restarted`: called when the engine is gone. */
  flush(): void;
  /** Refuses new jobs from now on; resolves when nothing waits or runs, or the signal aborts. */
  drain(signal: AbortSignal): Promise<void>;
}

export interface DispatcherOptions {
  readonly engine: Pick<Supervisor, "state" | "run" | "retryAfterS">;
  /** Jobs that may wait. */
  readonly maxQueue: number;
  readonly now?: () => number;
}

interface Waiting {
  readonly start: () => void;
  readonly reject: (error: unknown) => void;
}

/** Weight of the newest job in the running mean of service time. */
const smoothing = 0.2;
const firstGuessMs = 1000;

export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const { engine, maxQueue, now = () => performance.now() } = options;
  const waiting = new Set<Waiting>();
  let busy = false;
  let draining = false;
  let serviceMs: number | undefined;
  const idleListeners = new Set<() => void>();

  const startNext = (): void => {
    const [next] = waiting;
    if (next !== undefined) {
      waiting.delete(next);
      next.start();
    } else if (!busy) {
      for (const listener of idleListeners) listener();
    }
  };

  const runInEngine = async (job: Job, signal: AbortSignal): Promise<Outcome> => {
    busy = true;
    const startedAt = now();
    try {
      const outcome = await engine.run(job, signal);
      const took = now() - startedAt;
      serviceMs = serviceMs === undefined ? took : serviceMs + smoothing * (took - serviceMs);
      return outcome;
    } finally {
      busy = false;
      startNext();
    }
  };

  return {
    get depth() {
      return waiting.size;
    },
    get running() {
      return busy ? 1 : 0;
    },

    async run(job, signal) {
      if (draining) {
        throw new AppError("not_ready", "The node is shutting down.", { retryAfterS: 5 });
      }
      if (engine.state !== "ready") {
        throw new AppError("not_ready", "The inference engine is starting; try again soon.", {
          retryAfterS: engine.retryAfterS(),
        });
      }
      if (busy && waiting.size >= maxQueue) {
        const backlogMs = (serviceMs ?? firstGuessMs) * (waiting.size + 1);
        throw new AppError("overloaded", "The node's queue is full; try again later.", {
          retryAfterS: Math.max(1, Math.ceil(backlogMs / 1000)),
        });
      }
      signal.throwIfAborted();
      const arrivedAt = now();
      return new Promise<Dispatched>((resolve, reject) => {
        const abort = (): void => {
          waiting.delete(entry);
          reject(signal.reason as Error);
        };
        const entry: Waiting = {
          reject,
          start() {
            const queueMs = now() - arrivedAt;
            runInEngine(job, signal)
              .then((outcome) => resolve({ ...outcome, queueMs }), reject)
              .finally(() => signal.removeEventListener("abort", abort));
          },
        };
        signal.addEventListener("abort", abort, { once: true });
        if (busy) waiting.add(entry);
        else entry.start();
      });
    },

    flush() {
      const left = [...waiting];
      waiting.clear();
      for (const { reject } of left) {
        reject(
          new AppError(
            "engine_restarted",
            "The inference engine stopped while the request waited; send it again.",
            { retryAfterS: engine.retryAfterS() },
          ),
        );
      }
    },

    drain(signal) {
      draining = true;
      if (!busy && waiting.size === 0) return Promise.resolve();
      return new Promise<void>((resolve) => {
        idleListeners.add(resolve);
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
    },
  };
}
