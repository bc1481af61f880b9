// A webhook comes in: proven by the connection's secret over its raw body, written down, and answered before any
// work is done. Whoever is not proven leaves nothing behind.
import type { HookAccepted } from "@blip2-edge/shared/contracts/deliveries";
import { sha256Hex } from "@blip2-edge/shared/hex";
import { AppError } from "@blip2-edge/shared/problem";
import type { RawHook } from "./adapter.ts";
import { adapters } from "./adapters.ts";
import type { ConnectionBook } from "./connection-book.ts";
import type { DeliveryStore } from "./delivery-store.ts";
import type { ConnectionQueue } from "./messages.ts";

export interface InboxRooms {
  readonly book: Pick<ConnectionBook, "find" | "secretsOf">;
  readonly deliveries: Pick<DeliveryStore, "receive">;
  readonly queue: ConnectionQueue;
  readonly now: () => number;
}

/** Assets of one webhook; no sender names more in one. */
const maxNotices = 50;

/** Throws not_found, signature_invalid. */
export async function receiveHook(
  { book, deliveries, queue, now }: InboxRooms,
  connectionId: string,
  hook: RawHook,
  later: (work: Promise<unknown>) => void,
): Promise<HookAccepted> {
  const connection = await book.find(connectionId);
  if (connection === undefined) {
    throw new AppError("not_found", "There is no connection at this address.");
  }
  const { webhook: secrets } = await book.secretsOf(connection);
  const notices = await adapters[connection.kind].verify(hook, secrets, now());
  const digest = `sha256:${await sha256Hex(hook.body)}`;
  const { received, known, woken } = await deliveries.receive(
    connectionId,
    notices.slice(0, maxNotices),
    digest,
  );
  // Without the message the sweep finds it.
  if (received + woken > 0) {
    later(queue.send({ kind: "connection", connection: connectionId }));
  }
  return { received, known };
}
