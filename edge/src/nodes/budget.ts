// A budget of extra calls: a share of the calls of a sliding window, and at least so many a second. It
// holds in every window, so the extra calls of an outage stay a share of the calls themselves.

export interface Budget {
  /** A call came in. */
  deposit(now: number): void;
  /** Takes one extra call, when there is one left. */
  take(now: number): boolean;
  /** Counts an extra call that was made whatever is left. */
  spend(now: number): void;
}

export interface BudgetOptions {
  readonly share: number;
  readonly perS?: number;
  readonly windowMs: number;
}

const slots = 20;

export function createBudget({ share, perS = 0, windowMs }: BudgetOptions): Budget {
  const slotMs = windowMs / slots;
  // One slot more than the window, so that a whole window is always there.
  const calls = new Float64Array(slots + 1);
  const extra = new Float64Array(slots + 1);
  let latest = 0;

  const turnTo = (now: number): number => {
    const slot = Math.max(latest, Math.floor(now / slotMs));
    for (let at = Math.max(latest + 1, slot - slots); at <= slot; at++) {
      calls[at % (slots + 1)] = 0;
      extra[at % (slots + 1)] = 0;
    }
    latest = slot;
    return slot % (slots + 1);
  };
  const sum = (counts: Float64Array): number => counts.reduce((total, count) => total + count, 0);
  const add = (counts: Float64Array, now: number): void => {
    const slot = turnTo(now);
    counts[slot] = (counts[slot] ?? 0) + 1;
  };

  return {
    deposit: (now) => add(calls, now),
    take(now) {
      turnTo(now);
      const allowed = Math.max((perS * windowMs) / 1000, share * sum(calls));
      if (sum(extra) + 1 > allowed) return false;
      add(extra, now);
      return true;
    },
    spend: (now) => add(extra, now),
  };
}
