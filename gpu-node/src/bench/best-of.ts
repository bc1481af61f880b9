// The shortest of several repeats after a warm-up: what else the machine does can only add to a time.

export interface Repeats {
  readonly repeats: number;
  /** A cheap call is repeated until it has taken this long in all. */
  readonly leastMs?: number;
  readonly signal: AbortSignal;
  readonly now?: () => number;
}

/** Milliseconds. Errors: those of `call`, the signal's reason between two calls. */
export async function bestOf(
  { repeats, leastMs = 0, signal, now = () => performance.now() }: Repeats,
  call: () => Promise<unknown>,
): Promise<number> {
  await call();
  let best = Infinity;
  let spent = 0;
  for (let done = 0; done < repeats || spent < leastMs; done += 1) {
    signal.throwIfAborted();
    const startedAt = now();
    await call();
    const tookMs = now() - startedAt;
    spent += tookMs;
    best = Math.min(best, tookMs);
  }
  return best;
}
