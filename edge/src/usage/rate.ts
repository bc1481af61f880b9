// Requests per minute of a key, counted in this isolate alone, so that a cache hit costs no call. Exact
// here: at most the limit in each window of 60 s, which begins with its first request; what it is exact
// to over several isolates is in docs/decisions/0083. Plain data, bounded.

export const rateWindowS = 60;

export interface RateState {
  readonly allowed: boolean;
  readonly remaining: number;
  /** Whole seconds until the next window. */
  readonly resetS: number;
}

export interface RateOptions {
  readonly maxKeys?: number;
  readonly now?: () => number;
}

/** Counts one request of a key and says whether it is within the limit. */
export type CountRequest = (keyId: string, perMinute: number) => RateState;

export function requestCounter({
  maxKeys = 10_000,
  now = Date.now,
}: RateOptions = {}): CountRequest {
  const windows = new Map<string, { readonly until: number; count: number }>();
  return (keyId, perMinute) => {
    const at = now();
    let window = windows.get(keyId);
    if (window === undefined || window.until <= at) {
      // A key that comes again goes to the end, so the oldest window is the first to be forgotten.
      windows.delete(keyId);
      const oldest = windows.keys().next();
      if (windows.size >= maxKeys && !oldest.done) windows.delete(oldest.value);
      window = { until: at + rateWindowS * 1000, count: 0 };
      windows.set(keyId, window);
    }
    const allowed = window.count < perMinute;
    if (allowed) window.count += 1;
    return {
      allowed,
      remaining: Math.max(0, perMinute - window.count),
      resetS: Math.max(1, Math.ceil((window.until - at) / 1000)),
    };
  };
}
