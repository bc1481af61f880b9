// The nearest tier of the cache: texts in the isolate's own memory, shared by its requests. Plain data,
// bounded in bytes and in each entry's time; what was not read for longest is dropped first.

export interface MemoryTier {
  get(path: string): string | undefined;
  set(path: string, text: string, ttlS: number): void;
  delete(path: string): void;
}

interface Entry {
  readonly text: string;
  readonly bytes: number;
  readonly until: number;
}

/** No single entry may push out more than this part of the others. */
const maxShare = 1 / 8;
/** Of the map's own bookkeeping, from above. */
const entryBytes = 128;
/** An engine keeps most texts in one byte a character, and some in two. */
const bytesOf = (path: string, text: string): number =>
  2 * (path.length + text.length) + entryBytes;

export function memoryTier({
  maxBytes,
  now = Date.now,
}: {
  /** 0: nothing is kept. */
  readonly maxBytes: number;
  readonly now?: () => number;
}): MemoryTier {
  // A map remembers in which order its entries were set: the first is the oldest.
  const entries = new Map<string, Entry>();
  let heldBytes = 0;
  const drop = (path: string): void => {
    heldBytes -= entries.get(path)?.bytes ?? 0;
    entries.delete(path);
  };
  return {
    get(path) {
      const entry = entries.get(path);
      if (entry === undefined) return undefined;
      if (entry.until <= now()) {
        drop(path);
        return undefined;
      }
      entries.delete(path);
      entries.set(path, entry);
      return entry.text;
    },
    set(path, text, ttlS) {
      drop(path);
      const bytes = bytesOf(path, text);
      if (bytes > maxBytes * maxShare) return;
      entries.set(path, { text, bytes, until: now() + ttlS * 1000 });
      heldBytes += bytes;
      for (const oldest of entries.keys()) {
        if (heldBytes <= maxBytes) return;
        drop(oldest);
      }
    },
    delete: drop,
  };
}
