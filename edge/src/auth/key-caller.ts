// Who a key's work is done for when the key itself is not at hand: by its id, while it is valid.
import type { Caller } from "./caller.ts";
import { callerOf } from "./key-record.ts";
import type { KeyStore } from "./key-store.ts";

/** Undefined when there is no such key, or when it is revoked or expired. */
export type KeyCaller = (keyId: string) => Promise<Caller | undefined>;

export function keyCaller(keys: Pick<KeyStore, "find">, now: () => number = Date.now): KeyCaller {
  return async (keyId) => {
    const record = await keys.find(keyId);
    if (record === undefined || record.revoked_at !== null) return undefined;
    if (record.expires_at !== null && record.expires_at <= now()) return undefined;
    return callerOf(record);
  };
}
