// Who does what many requests of an isolate could do at the same time, such as writing one and the same thing
// down: the first that asks; the others leave it to that one. Plain data: nobody waits for anybody, and a claim
// ends by itself, so that what was not done is done by a later request.

export interface Claims {
  /** Whether this request is to do it. */
  take(what: string): boolean;
}

export function claims({
  ttlMs = 10_000,
  maxEntries = 1000,
  now = Date.now,
}: {
  readonly ttlMs?: number;
  readonly maxEntries?: number;
  readonly now?: () => number;
} = {}): Claims {
  const taken = new Map<string, number>();
  return {
    take(what) {
      const at = taken.get(what);
      if (at !== undefined && now() - at < ttlMs) return false;
      taken.delete(what);
      taken.set(what, now());
      const oldest = taken.keys().next();
      if (taken.size > maxEntries && !oldest.done) taken.delete(oldest.value);
      return true;
    },
  };
}
