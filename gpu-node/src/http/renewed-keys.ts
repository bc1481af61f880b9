// The keys of a node that joined, which the edge renews: a newer one comes with the answer to a heartbeat and signs
// from then on, an older one goes when the edge no longer names it. Written down before it is used, so that a node
// that ends in between still has a key that holds.
import type { HeartbeatResponse, NodeKey } from "@blip2-edge/shared/wire/heartbeat";
import type { SigningKey } from "@blip2-edge/shared/wire/signature";
import type { Log } from "../observe/log.ts";

export interface RenewedKeys {
  readonly keys: () => readonly SigningKey[];
  readonly told: (
    answer: Pick<HeartbeatResponse, "key_ids" | "new_key" | "leave">,
  ) => Promise<void>;
}

export interface RenewedKeysOptions {
  /** The newest first. */
  readonly keys: readonly NodeKey[];
  /** Writes them down. */
  readonly save: (keys: readonly NodeKey[]) => Promise<void>;
  /** An operator has removed the node; once. */
  readonly onSentAway: () => void;
  readonly log: Log;
}

const signing = ({ id, secret }: NodeKey): SigningKey => ({
  id,
  secret: new TextEncoder().encode(secret),
});

export function renewedKeys(options: RenewedKeysOptions): RenewedKeys {
  const { keys: first, save, onSentAway, log } = options;
  let held = first;
  let isAway = false;
  let keys = held.map(signing);
  return {
    keys: () => keys,
    async told({ key_ids: ids, new_key: newKey, leave }) {
      if (leave === true && !isAway) {
        isAway = true;
        log.warn("sent_away");
        onSentAway();
      }
      if (ids === undefined) return;
      const others = held.filter(({ id }) => id !== newKey?.id && ids.includes(id));
      const next = newKey === undefined ? others : [newKey, ...others];
      const same = next.length === held.length && next.every(({ id }, at) => id === held[at]?.id);
      if (same || next.length === 0) return;
      try {
        await save(next);
      } catch (error) {
        // The edge says it again with the next heartbeat.
        const reason = error instanceof Error ? error.message : String(error);
        log.error("keys_not_saved", { reason });
        return;
      }
      held = next;
      keys = held.map(signing);
      log.info("keys_read", { key_ids: held.map(({ id }) => id) });
    },
  };
}
