// One piece of work that several requests want at the same time: which of them does it, who waits for it, and
// what came of it. The one who does it holds a lease that it renews; when that ends, the next who waits takes
// over. Lives in one object for all isolates (work-lease.ts), in memory only: what is lost with the object is
// done again. Bounded in who may wait; nobody waits longer than it asked to.
import type { Problem } from "@blip2-edge/shared/problem";

export interface Asked {
  /** Names the request; chosen by it. */
  readonly ticket: string;
  readonly keyId: string;
  /** When the request began, Unix milliseconds. */
  readonly at: number;
  /** What was known then or before is forgotten for it. */
  readonly newerThan: number;
  readonly leaseMs: number;
}

/** What came of it, and of when it is: that of the request that did it. */
export interface Outcome {
  readonly at: number;
  /** As JSON. */
  readonly values: string;
}

export interface Failure {
  readonly problem: Problem;
  /** For those alone who have this key; left out: for everybody. */
  readonly keyId?: string;
}

export type Told =
  /** Do it. `waited`: somebody else was at it before, and may have left it done. */
  | { readonly kind: "lead"; readonly waited: boolean }
  /** Ask again: somebody is at it. */
  | { readonly kind: "wait" }
  /** Do it without a lease: there is no room for one more to wait. */
  | { readonly kind: "alone" }
  | { readonly kind: "done"; readonly outcome: Outcome }
  | { readonly kind: "failed"; readonly problem: Problem };

export interface Desk {
  /** Answers at once. */
  join(asked: Asked): Told;
  /** The same, but when somebody is at it, after something has changed, or `waitMs`. */
  wait(asked: Asked, waitMs: number): Promise<Told>;
  /** False: the lease has gone to another. */
  renew(ticket: string): boolean;
  finish(ticket: string, outcome: Outcome): void;
  /** Without a failure to share, the next takes over. Of one who waits: it does not wait any more. */
  fail(ticket: string, failure?: Failure): void;
}

/** Runs `work` after `ms`; gives what stops it. */
export type Timer = (ms: number, work: () => void) => () => void;

export interface DeskOptions {
  /** How long an outcome is told to those who looked into the cache just before it was there. */
  readonly graceMs?: number;
  readonly maxWaiting?: number;
  readonly now?: () => number;
  readonly timer?: Timer;
}

interface Waiting {
  readonly asked: Asked;
  readonly tell: (told: Told) => void;
}

const realTimer: Timer = (ms, work) => {
  const id = setTimeout(work, ms);
  return () => clearTimeout(id);
};

export function workDesk(options: DeskOptions = {}): Desk {
  const { graceMs = 5000, maxWaiting = 5000, now = Date.now, timer = realTimer } = options;
  let lease:
    | { readonly ticket: string; readonly at: number; ms: number; until: number }
    | undefined;
  let done: { readonly outcome: Outcome; readonly until: number } | undefined;
  // In the order in which they came.
  const waiting = new Map<string, Waiting>();
  let stopWatch: (() => void) | undefined;

  function lead({ ticket, at, leaseMs }: Asked, waited: boolean): Told {
    lease = { ticket, at, ms: leaseMs, until: now() + leaseMs };
    watch();
    return { kind: "lead", waited };
  }

  /** As long as somebody waits, the end of the lease is noticed when it comes. */
  function watch(): void {
    stopWatch?.();
    stopWatch = undefined;
    if (lease === undefined || waiting.size === 0) return;
    stopWatch = timer(Math.max(0, lease.until - now()), () => {
      if (lease !== undefined && lease.until > now()) return watch();
      promote();
    });
  }

  function promote(): void {
    lease = undefined;
    const [next] = waiting.values();
    next?.tell(lead(next.asked, true));
  }

  function look(asked: Asked): Told {
    if (done !== undefined && done.until > now() && done.outcome.at > asked.newerThan) {
      return { kind: "done", outcome: done.outcome };
    }
    const taken = lease !== undefined && lease.until > now() && lease.ticket !== asked.ticket;
    // What was begun before it was forgotten is no use for who asks after that.
    if (taken && lease !== undefined && lease.at > asked.newerThan) return { kind: "wait" };
    return lead(asked, false);
  }

  return {
    join: look,
    wait(asked, waitMs) {
      const told = look(asked);
      if (told.kind !== "wait") return Promise.resolve(told);
      if (waiting.size >= maxWaiting) return Promise.resolve({ kind: "alone" });
      return new Promise((resolve) => {
        const tell = (news: Told): void => {
          stop();
          if (waiting.get(asked.ticket) === own) waiting.delete(asked.ticket);
          resolve(news);
        };
        const own: Waiting = { asked, tell };
        const stop = timer(waitMs, () => tell({ kind: "wait" }));
        // One ticket waits in one place: that of a call that broke is given up.
        waiting.get(asked.ticket)?.tell({ kind: "wait" });
        waiting.set(asked.ticket, own);
        watch();
      });
    },
    renew(ticket) {
      if (lease?.ticket !== ticket) return false;
      lease.until = now() + lease.ms;
      return true;
    },
    finish(ticket, outcome) {
      // Also of one whose lease had ended: what it found is as good.
      if (done === undefined || outcome.at >= done.outcome.at) {
        done = { outcome, until: now() + graceMs };
      }
      for (const { asked, tell } of waiting.values()) {
        if (outcome.at > asked.newerThan) tell({ kind: "done", outcome });
      }
      if (lease?.ticket === ticket) promote();
    },
    fail(ticket, failure) {
      waiting.get(ticket)?.tell({ kind: "wait" });
      if (lease?.ticket !== ticket) return;
      if (failure !== undefined) {
        const { problem, keyId } = failure;
        for (const { asked, tell } of waiting.values()) {
          if (keyId === undefined || keyId === asked.keyId) tell({ kind: "failed", problem });
        }
      }
      promote();
    },
  };
}
