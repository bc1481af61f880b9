// The jobs that were in the engine when it ended, any of which may have ended it. One that was there twice is
// refused; one that was there once runs with no other suspect beside it, so that a second end says whose it is.
// While no engine has ended there is nothing to look up, and no job is digested (docs/decisions/0079).
import { createHash } from "node:crypto";
import { AppError } from "@blip2-edge/shared/problem";
import type { Job } from "./messages.ts";

export interface Suspects {
  readonly size: number;
  /** Runs `work`, which gives the job to the engine. Errors: `poison_request`, the signal's reason, those of `work`. */
  run<T>(job: Job, signal: AbortSignal, work: () => Promise<T>): Promise<T>;
}

export interface SuspectsOptions {
  /** Which engine runs now, counted: two jobs alike that one engine took with it are one crash. */
  readonly life: () => number;
  /** Jobs remembered; the oldest is forgotten first. */
  readonly capacity?: number;
  /** How long a job stays suspect after the last end that it saw. */
  readonly forgetMs?: number;
  readonly now?: () => number;
}

interface Record {
  crashes: number;
  /** Of the engine that it saw end last. */
  life: number;
  at: number;
}

/** An engine may end once beside a job for another reason; twice is the job's doing. */
const maxCrashes = 2;

export function createSuspects(options: SuspectsOptions): Suspects {
  const { life, capacity = 256, forgetMs = 600_000, now = () => performance.now() } = options;
  // Set anew at every crash, so insertion order is the order of `at`.
  const records = new Map<string, Record>();
  let lastTurn: Promise<void> = Promise.resolve();

  const find = (key: string): Record | undefined => {
    for (const [old, { at }] of records) {
      if (now() - at < forgetMs) break;
      records.delete(old);
    }
    return records.get(key);
  };

  const accuse = (key: string): void => {
    const before = find(key);
    if (before?.life === life()) return;
    records.delete(key);
    records.set(key, { crashes: (before?.crashes ?? 0) + 1, life: life(), at: now() });
    const [oldest] = records.keys();
    if (records.size > capacity && oldest !== undefined) records.delete(oldest);
  };

  const refuseGuilty = (key: string): void => {
    if ((find(key)?.crashes ?? 0) < maxCrashes) return;
    throw new AppError(
      "poison_request",
      `The inference engine stopped ${maxCrashes} times during this request; it is not tried again for now. Change the request.`,
      { internal: `suspect ${key}` },
    );
  };

  /** Resolves when no other suspect runs, with the function that ends the turn. */
  const takeTurn = async (signal: AbortSignal): Promise<() => void> => {
    const before = lastTurn;
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    lastTurn = before.then(() => over);
    const left = Promise.withResolvers<never>();
    const leave = (): void => left.reject(signal.reason as Error);
    signal.addEventListener("abort", leave, { once: true });
    try {
      signal.throwIfAborted();
      await Promise.race([before, left.promise]);
      return end;
    } catch (error) {
      end();
      throw error;
    } finally {
      signal.removeEventListener("abort", leave);
    }
  };

  const attempt = async <T>(job: Job, work: () => Promise<T>): Promise<T> => {
    try {
      const value = await work();
      if (records.size > 0) records.delete(digestOf(job));
      return value;
    } catch (error) {
      if (error instanceof AppError && error.code === "engine_restarted") accuse(digestOf(job));
      throw error;
    }
  };

  return {
    get size() {
      return records.size;
    },
    async run(job, signal, work) {
      const key = records.size === 0 ? undefined : digestOf(job);
      if (key === undefined || find(key) === undefined) return attempt(job, work);
      refuseGuilty(key);
      const endTurn = await takeTurn(signal);
      try {
        refuseGuilty(key);
        return await attempt(job, work);
      } finally {
        endTurn();
      }
    },
  };
}

/** Of what the engine is asked, without the pixels: the image id stands for them, and a second try may lack them. */
function digestOf(job: Job): string {
  const { kind, model, modelRevision } = job;
  const image = "imageId" in job ? [job.partition, job.imageId] : [];
  const texts = "texts" in job ? job.texts : [];
  const how = kind === "generate" ? job.generation : kind === "match" ? job.scores : [job.features];
  const asked = JSON.stringify([kind, model, modelRevision, image, texts, how]);
  return createHash("sha256").update(asked).digest("hex");
}
