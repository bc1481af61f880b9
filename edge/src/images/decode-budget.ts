// Bounds the decoded pixels that one isolate holds at a time: production gives an isolate 128 MB, and two
// large photos at once would end it. Who does not fit waits, polling: a request must not wait on a
// promise of another, which may never settle once that request is gone. For the same reason a
// reservation ends by itself after `leaseMs`.
import { AppError } from "@blip2-edge/shared/problem";

export interface DecodeBudget {
  /** Runs `work` while `bytes` are reserved. Throws overloaded when they do not come free in time. */
  run<T>(bytes: number, signal: AbortSignal, work: () => Promise<T>): Promise<T>;
  /** Bytes reserved now. */
  reserved(): number;
}

export interface DecodeBudgetOptions {
  readonly maxBytes: number;
  readonly waitMs: number;
  readonly leaseMs?: number;
  readonly pollMs?: number;
  readonly now?: () => number;
  readonly sleep?: (ms: number) => Promise<void>;
}

const realSleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export function decodeBudget(options: DecodeBudgetOptions): DecodeBudget {
  const {
    maxBytes,
    waitMs,
    leaseMs = 30_000,
    pollMs = 20,
    now = Date.now,
    sleep = realSleep,
  } = options;
  const held = new Map<symbol, { readonly bytes: number; readonly until: number }>();

  const reserved = (): number => {
    const at = now();
    let sum = 0;
    for (const [token, { bytes, until }] of held) {
      if (until <= at) held.delete(token);
      else sum += bytes;
    }
    return sum;
  };
  /** One picture alone may be larger than the budget: it has passed the pixel limit already. */
  const fits = (bytes: number): boolean => {
    const sum = reserved();
    return sum === 0 || sum + bytes <= maxBytes;
  };

  return {
    reserved,
    async run(bytes, signal, work) {
      const giveUpAt = now() + waitMs;
      while (!fits(bytes)) {
        signal.throwIfAborted();
        if (now() >= giveUpAt) {
          throw new AppError("overloaded", "Too many pictures are being read at once. Try again.", {
            retryAfterS: 1,
          });
        }
        await sleep(pollMs);
      }
      const token = Symbol("reservation");
      held.set(token, { bytes, until: now() + leaseMs });
      try {
        return await work();
      } finally {
        held.delete(token);
      }
    },
  };
}
