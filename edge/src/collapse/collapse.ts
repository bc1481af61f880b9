// Work that is wanted several times at the same time is done once: the first to ask leads and does it, the
// others wait for what comes of it, through an object for each piece of work (desk.ts). Whoever waits is told
// an outcome, a failure or to take over, within its own deadline. Where the object cannot be reached, the work
// is done without it: that costs an inference too many, never an answer.
import { AppError, fromProblem, toProblem, type ProblemCode } from "@blip2-edge/shared/problem";
import type { AuthenticatedContext } from "../context.ts";
import { describeError } from "../log.ts";
import { unlessAborted } from "../unless-aborted.ts";
import type { Asked, Failure, Outcome, Told } from "./desk.ts";

/** What the Durable Object of a piece of work can be asked (work-lease.ts). */
export interface WorkLeaseCalls {
  join(asked: Asked): Promise<Told>;
  wait(asked: Asked, waitMs: number): Promise<Told>;
  renew(ticket: string): Promise<boolean>;
  finish(ticket: string, outcome: Outcome): Promise<void>;
  fail(ticket: string, failure?: Failure): Promise<void>;
}

/** The binding of the Durable Object's class. */
export interface WorkLeases {
  getByName(key: string): WorkLeaseCalls;
}

export interface Work {
  /** Equal for equal work of one partition, and for no other. */
  readonly key: string;
  /** What was known then or before is forgotten, Unix milliseconds. */
  readonly newerThan: number;
  /** The values as JSON. `waited`: another was at it before, so they may be in the cache by now. */
  readonly compute: (waited: boolean) => Promise<string>;
}

export interface Computed {
  readonly values: string;
  /** By another request. */
  readonly shared: boolean;
}

export interface Collapse {
  /** Throws what `compute` throws, here or in the request that led, and the request's own end. */
  once(work: Work, context: AuthenticatedContext): Promise<Computed>;
}

export interface CollapseOptions {
  readonly leases: WorkLeases;
  /** A leader that does not renew for so long is given up. */
  readonly leaseMs?: number;
  /** For one call of the object, on top of what it is asked to wait. */
  readonly callTimeoutMs?: number;
  /** How long one call waits for an outcome before it is made again. */
  readonly waitMs?: number;
  readonly newId?: () => string;
  readonly sleep?: (ms: number) => Promise<void>;
}

/** Failures of the work itself: whoever waits for the same would meet them, too. */
const ofTheWork: ReadonlySet<ProblemCode> = new Set([
  "model_not_found",
  "prompt_too_long",
  "node_unavailable",
  "node_protocol",
  "overloaded",
  "engine_restarted",
  "poison_request",
  "not_ready",
  "revision_mismatch",
]);
/** Failures of who pays for it. */
const ofTheKey: ReadonlySet<ProblemCode> = new Set([
  "quota_exceeded",
  "concurrency_exceeded",
  "meter_unavailable",
]);

/** What of a leader's failure is everyone's. Of any other, the next tries: its deadline or picture may do. */
function failureOf(error: unknown, keyId: string): Failure | undefined {
  if (!(error instanceof AppError)) return undefined;
  const problem = toProblem(error);
  if (ofTheWork.has(error.code)) return { problem };
  return ofTheKey.has(error.code) ? { problem, keyId } : undefined;
}

const maxFaults = 3;
const pauseAfterFaultMs = 50;
const realSleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export function collapse(options: CollapseOptions): Collapse {
  const { leases, leaseMs = 6000, callTimeoutMs = 3000, waitMs = 20_000 } = options;
  const { newId = () => crypto.randomUUID(), sleep = realSleep } = options;

  /** One call of the object after another, until there is something else to do than to wait. */
  async function follow(key: string, asked: Asked, context: AuthenticatedContext): Promise<Told> {
    const { signal, event, hops } = context;
    let faults = 0;
    const call = async (
      withinMs: number,
      ask: (desk: WorkLeaseCalls) => Promise<Told>,
    ): Promise<Told> => {
      signal.throwIfAborted();
      const within = AbortSignal.any([signal, AbortSignal.timeout(withinMs)]);
      try {
        // A stub is of no use any more once a call of it has failed.
        return await unlessAborted(ask(leases.getByName(key)), within);
      } catch (error) {
        signal.throwIfAborted();
        event["collapse_fault"] = describeError(error);
        faults += 1;
        if (faults === maxFaults) return { kind: "alone" };
        await sleep(pauseAfterFaultMs * faults);
        return { kind: "wait" };
      }
    };
    const joined = await call(callTimeoutMs, (desk) => desk.join(asked));
    if (joined.kind !== "wait") return joined;
    return hops.time("wait", async () => {
      let told: Told = joined;
      while (told.kind === "wait") {
        told = await call(callTimeoutMs + waitMs, (desk) => desk.wait(asked, waitMs));
      }
      return told;
    });
  }

  async function lead(
    { key, compute }: Work,
    { ticket, at, keyId }: Asked,
    waited: boolean,
    { later }: AuthenticatedContext,
  ): Promise<Computed> {
    const beat = setInterval(() => later(leases.getByName(key).renew(ticket)), leaseMs / 3);
    try {
      const values = await compute(waited);
      later(leases.getByName(key).finish(ticket, { at, values }));
      return { values, shared: false };
    } catch (error) {
      later(leases.getByName(key).fail(ticket, failureOf(error, keyId)));
      throw error;
    } finally {
      clearInterval(beat);
    }
  }

  return {
    async once(work, context) {
      const { startedAt: at, caller, later, priority } = context;
      const { newerThan } = work;
      // Who waits for an answer does not wait for work that may take its time.
      const key = priority === undefined ? work.key : `${work.key} ${priority}`;
      const asked: Asked = { ticket: newId(), keyId: caller.keyId, at, newerThan, leaseMs };
      const told = await follow(key, asked, context).catch((error: unknown) => {
        // Who has gone is not to take over.
        later(leases.getByName(key).fail(asked.ticket));
        throw error;
      });
      switch (told.kind) {
        case "lead":
          return lead({ ...work, key }, asked, told.waited, context);
        case "done":
          return { values: told.outcome.values, shared: true };
        case "failed":
          throw (
            fromProblem(told.problem) ?? new Error("the request that led failed in words unknown")
          );
        default:
          return { values: await work.compute(true), shared: false };
      }
    },
  };
}
