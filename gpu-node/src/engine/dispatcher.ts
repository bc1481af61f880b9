// What stands between the door and the engine: lets jobs in by their estimated work (admission.ts) and knows
// what was let in. Interactive jobs go to the engine at once, which orders what it has; bulk waits here and
// fills the engine's batch only as far as it has room, so that it can be put out before it has cost anything.
// A caller that leaves or whose deadline passes is answered at once; its place is free when the engine says so.
import { AppError } from "@blip2-edge/shared/problem";
import { admit, type AdmittedJob, type Refusal } from "./admission.ts";
import { batchRowsOf, costOf, shapeOf } from "./job-cost.ts";
import type { Job, Outcome } from "./messages.ts";
import type { OnText, Supervisor } from "./supervisor.ts";

export type Dispatched = Outcome & { readonly queueMs: number };

export interface Dispatcher {
  /** Jobs that wait in the door. */
  readonly depth: number;
  /** Jobs in the engine. */
  readonly running: number;
  /** Estimated milliseconds of work that was let in and is not done. */
  readonly backlogMs: number;
  /**
   * `onText` hears a streamed job's text as it is written.
   * Errors: `overloaded`, `share_exceeded` and `not_ready` at once, `overloaded` for a bulk job that is put out,
   * the signal's reason, `engine_restarted`, the engine's.
   */
  run(job: Job, signal: AbortSignal, onText?: OnText): Promise<Dispatched>;
  /** The engine has said how much it has left. */
  heardStats(): void;
  /** Ends what waits with `engine_restarted`: called when the engine is gone. */
  flush(): void;
  /** Gives all that waits to the engine, whatever room it has: called before another engine takes its place. */
  release(): void;
  /** Refuses new jobs from now on; resolves when nothing waits or runs, or the signal aborts. */
  drain(signal: AbortSignal): Promise<void>;
}

export interface DispatcherOptions {
  readonly engine: Pick<Supervisor, "state" | "stats" | "holds" | "run" | "retryAfterS">;
  /** Estimated milliseconds of work that may be there, in the engine or before it. */
  readonly maxQueueMs: number;
  /** Jobs that may be there, whatever they cost. */
  readonly maxJobs: number;
  readonly now?: () => number;
}

interface Entry {
  readonly partition: string | undefined;
  readonly priority: Job["priority"];
  /** 0 once nobody waits for it: it ends at its next step. */
  workMs: number;
  readonly rows: number;
  started: boolean;
  /** How often the engine had spoken of its load when this job was sent to it. */
  sentAt: number;
  readonly start: () => void;
  readonly reject: (error: unknown) => void;
}

/** Batches of rows in the engine up to which bulk is added: one that runs and one that is made ready. */
const batchesAhead = 2;
const drainRetryAfterS = 5;

const details: Readonly<Record<Refusal, string>> = {
  full: "The node has as much work as it may take; try again later.",
  late: "The node has so much work that this would be done after its deadline; try again later, or allow more time.",
  share:
    "This partition holds more than its share of the node's work while others wait; try again later.",
};
const secondsOf = (waitMs: number): number => Math.max(1, Math.ceil(waitMs / 1000));

export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const { engine, maxQueueMs, maxJobs, now = () => performance.now() } = options;
  /** In the order in which they were let in. */
  const entries = new Set<Entry>();
  let statsHeard = 0;
  let draining = false;
  const idleListeners = new Set<() => void>();

  const waiting = (): Entry[] => [...entries].filter(({ started }) => !started);
  const started = (): Entry[] => [...entries].filter((entry) => entry.started);

  /**
   * What the engine has left, in milliseconds: what it was given less the time that has passed, until it says
   * so itself. Never more than the estimates of what is there.
   */
  let engineMs = 0;
  let countedAt = now();
  const estimateOf = (all: readonly Entry[]): number =>
    all.reduce((sum, { workMs }) => sum + workMs, 0);
  const countEngine = (): void => {
    const at = now();
    engineMs = Math.min(Math.max(0, engineMs - (at - countedAt)), estimateOf(started()));
    countedAt = at;
  };
  const admittedJobs = (): AdmittedJob[] => {
    countEngine();
    const left = engineMs / Math.max(engineMs, estimateOf(started()), Number.MIN_VALUE);
    return [...entries].map(({ partition, priority, workMs, started }) => ({
      partition,
      priority,
      started,
      remainingMs: started ? workMs * left : workMs,
    }));
  };
  const backlogMs = (): number =>
    admittedJobs().reduce((total, { remainingMs }) => total + remainingMs, 0);

  const putOut = (entry: Entry, error: AppError): void => {
    entries.delete(entry);
    entry.reject(error);
  };

  /** Of what waits, the job of the partition that has least in the engine; among equals the one that came first. */
  const nextToStart = (): Entry | undefined => {
    const inEngine = new Map<string | undefined, number>();
    for (const { partition, workMs } of started()) {
      inEngine.set(partition, (inEngine.get(partition) ?? 0) + workMs);
    }
    const load = (entry: Entry): number => inEngine.get(entry.partition) ?? 0;
    let next: Entry | undefined;
    for (const entry of waiting()) if (!next || load(entry) < load(next)) next = entry;
    return next;
  };

  const start = (entry: Entry): void => {
    countEngine();
    entry.started = true;
    entry.sentAt = statsHeard;
    engineMs += entry.workMs;
    entry.start();
  };

  const fillEngine = (): void => {
    const room = batchesAhead * batchRowsOf(engine.stats);
    for (;;) {
      const rows = started().reduce((total, entry) => total + entry.rows, 0);
      const next = rows < room ? nextToStart() : undefined;
      if (next === undefined) break;
      start(next);
    }
    if (entries.size === 0) for (const listener of idleListeners) listener();
  };

  /** Lets the job in, at the cost of bulk where it must be. Errors: `overloaded`, `share_exceeded`. */
  const letIn = (job: Job): Pick<Entry, "partition" | "priority" | "workMs" | "rows"> => {
    const partition = "partition" in job ? job.partition : undefined;
    const { priority, deadlineMs } = job;
    const shape = shapeOf(job, "imageId" in job && engine.holds(job));
    const { workMs, aloneMs } = costOf(shape, engine.stats);
    const all = [...entries];
    const newcomer = { partition, priority, workMs, aloneMs, deadlineMs };
    const verdict = admit(admittedJobs(), newcomer, { maxQueueMs, maxJobs });
    if (!verdict.admitted) {
      const { why, waitMs } = verdict;
      throw new AppError(why === "share" ? "share_exceeded" : "overloaded", details[why], {
        retryAfterS: secondsOf(waitMs),
      });
    }
    const retryAfterS = secondsOf(backlogMs());
    for (const at of verdict.shed) {
      const entry = all[at];
      if (entry === undefined) continue;
      const detail = "The request was bulk and gave way to interactive work; send it again later.";
      putOut(entry, new AppError("overloaded", detail, { retryAfterS }));
    }
    return { partition, priority, workMs, rows: Math.max(1, shape.rows) };
  };

  return {
    get depth() {
      return waiting().length;
    },
    get running() {
      return started().length;
    },
    get backlogMs() {
      return backlogMs();
    },

    async run(job, signal, onText) {
      if (draining) {
        throw new AppError("not_ready", "The node is shutting down.", {
          retryAfterS: drainRetryAfterS,
        });
      }
      if (engine.state !== "ready") {
        throw new AppError("not_ready", "The inference engine is starting; try again soon.", {
          retryAfterS: engine.retryAfterS(),
        });
      }
      signal.throwIfAborted();
      const admitted = letIn(job);
      const arrivedAt = now();
      return new Promise<Dispatched>((resolve, reject) => {
        const leave = (): void => {
          if (!entry.started) entries.delete(entry);
          entry.workMs = 0;
          reject(signal.reason as Error);
          fillEngine();
        };
        const runInEngine = async (): Promise<void> => {
          const queueMs = now() - arrivedAt;
          const deadlineMs = Math.max(1, job.deadlineMs - queueMs);
          try {
            const outcome = await engine.run({ ...job, deadlineMs }, signal, onText);
            resolve({ ...outcome, queueMs });
          } catch (error) {
            reject(error);
          } finally {
            signal.removeEventListener("abort", leave);
            entries.delete(entry);
            fillEngine();
          }
        };
        const entry: Entry = {
          ...admitted,
          started: false,
          sentAt: 0,
          reject,
          start: () => void runInEngine(),
        };
        signal.addEventListener("abort", leave, { once: true });
        entries.add(entry);
        if (job.priority === "interactive") start(entry);
        else fillEngine();
      });
    },

    heardStats() {
      statsHeard += 1;
      countEngine();
      // What was sent since it spoke before may have crossed with what it says now.
      const crossed = started().filter(({ sentAt }) => sentAt + 1 >= statsHeard);
      const saidMs = engine.stats?.queuedMs ?? engineMs;
      engineMs = Math.min(Math.max(engineMs, saidMs), saidMs + estimateOf(crossed));
      fillEngine();
    },

    flush() {
      for (const entry of waiting()) {
        const detail = "The inference engine stopped while the request waited; send it again.";
        putOut(
          entry,
          new AppError("engine_restarted", detail, { retryAfterS: engine.retryAfterS() }),
        );
      }
      fillEngine();
    },

    release() {
      for (const entry of waiting()) start(entry);
    },

    drain(signal) {
      draining = true;
      if (entries.size === 0) return Promise.resolve();
      return new Promise<void>((resolve) => {
        idleListeners.add(resolve);
        signal.addEventListener("abort", () => resolve(), { once: true });
      });
    },
  };
}
