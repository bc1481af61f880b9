// What the model saw, kept for the next question: least recently used goes first, bounded in bytes.
// Keys begin with the partition, so a lookup never leaves it.

export interface FeatureStore {
  /** The features, which thereby become the most recently used. */
  get(key: string): Float32Array | undefined;
  /** Stores a copy-free reference; gives the keys that had to go. Too large a value is not stored. */
  put(key: string, features: Float32Array): readonly string[];
  has(key: string): boolean;
  readonly bytes: number;
}

export function createFeatureStore(maxBytes: number): FeatureStore {
  // A Map iterates in insertion order: its first key is the least recently used.
  const held = new Map<string, Float32Array>();
  let bytes = 0;
  return {
    get(key) {
      const features = held.get(key);
      if (features !== undefined) {
        held.delete(key);
        held.set(key, features);
      }
      return features;
    },
    put(key, features) {
      const removed: string[] = [];
      const size = features.byteLength;
      bytes -= held.get(key)?.byteLength ?? 0;
      held.delete(key);
      if (size > maxBytes) return [key];
      for (const [oldest, old] of held) {
        if (bytes + size <= maxBytes) break;
        held.delete(oldest);
        bytes -= old.byteLength;
        removed.push(oldest);
      }
      held.set(key, features);
      bytes += size;
      return removed;
    },
    has: (key) => held.has(key),
    get bytes() {
      return bytes;
    },
  };
}
