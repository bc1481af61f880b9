// Puts what was seen into the store and tells what that changed.
import type { FeatureStore } from "./feature-store.ts";
import type { StoreChange } from "./messages.ts";

export function keepFeatures(
  store: FeatureStore,
  key: string,
  data: Float32Array,
  onStore: (change: StoreChange) => void,
): void {
  const removed = store.put(key, data);
  onStore({
    ...(removed.includes(key) ? {} : { added: key }),
    removed,
    bytes: store.bytes,
  });
}
