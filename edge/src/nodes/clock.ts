// Time as the room needs it: an argument, so that a simulation can run through hours in seconds.

export interface Clock {
  now(): number;
  /** Calls `what` once, after so long; the answer cancels it. */
  after(ms: number, what: () => void): () => void;
  sleep(ms: number): Promise<void>;
}

export const realClock: Clock = {
  now: Date.now,
  after(ms, what) {
    const timer = setTimeout(what, ms);
    return () => clearTimeout(timer);
  },
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};
