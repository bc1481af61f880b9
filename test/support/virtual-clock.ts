// A clock for simulations: time passes from one timer to the next, as fast as the work between them is
// done. Deterministic as long as nothing in the simulation waits for the real world.
import type { Clock } from "../../edge/src/nodes/clock.ts";

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly what: () => void;
  canceled: boolean;
}

export interface VirtualClock extends Clock {
  /** Runs all timers up to and including this time, with the work that they set off. */
  runUntil(at: number): Promise<void>;
}

/** `turns` of the event loop pass between two timers: one more than what runs in it takes by itself (setImmediate). */
export function virtualClock(startAt = 0, turns = 1): VirtualClock {
  let now = startAt;
  let order = 0;
  /** A binary heap, the earliest first. */
  const heap: Timer[] = [];
  const before = (a: Timer, b: Timer): boolean =>
    a.at < b.at || (a.at === b.at && a.order < b.order);

  function push(timer: Timer): void {
    let at = heap.push(timer) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] as Timer;
      if (!before(timer, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = timer;
  }
  function pop(): Timer | undefined {
    const top = heap[0];
    const last = heap.pop();
    if (top === undefined || last === undefined || top === last) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      const right = heap[child + 1];
      if (right !== undefined && before(right, heap[child] as Timer)) child += 1;
      if (!before(heap[child] as Timer, last)) break;
      heap[at] = heap[child] as Timer;
      at = child;
    }
    heap[at] = last;
    return top;
  }
  /** Everything that was set off and waits for no timer is done after this. */
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < turns; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  };

  const after = (ms: number, what: () => void): (() => void) => {
    const timer: Timer = { at: now + Math.max(0, ms), order: order++, what, canceled: false };
    push(timer);
    return () => {
      timer.canceled = true;
    };
  };
  return {
    now: () => now,
    after,
    sleep: (ms) => new Promise((resolve) => void after(ms, resolve)),
    async runUntil(end) {
      await settle();
      for (;;) {
        const next = heap[0];
        if (next === undefined || next.at > end) break;
        pop();
        if (next.canceled) continue;
        now = next.at;
        next.what();
        await settle();
      }
      now = end;
    },
  };
}
