// What the nodes are believed to hold, so that pixels are not sent twice. A belief, never a fact: the
// node answers pixels_required when it is wrong. Plain data of one isolate, bounded in number and time.

export interface HeldImages {
  has(key: string): boolean;
  add(key: string): void;
  forget(key: string): void;
  /** Everything under keys that begin so: after a broken connection a node may have lost all it held. */
  forgetAll(prefix: string): void;
}

export function heldImages(
  options: {
    readonly maxEntries?: number;
    readonly ttlMs?: number;
    readonly now?: () => number;
  } = {},
): HeldImages {
  const { maxEntries = 4000, ttlMs = 300_000, now = Date.now } = options;
  const until = new Map<string, number>();
  return {
    has: (key) => (until.get(key) ?? 0) > now(),
    add(key) {
      until.delete(key);
      until.set(key, now() + ttlMs);
      if (until.size <= maxEntries) return;
      const oldest = until.keys().next();
      if (!oldest.done) until.delete(oldest.value);
    },
    forget: (key) => void until.delete(key),
    forgetAll(prefix) {
      for (const key of until.keys()) if (key.startsWith(prefix)) until.delete(key);
    },
  };
}
