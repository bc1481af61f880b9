// The consumer of messages about connections. A message that was understood is done with, however its work went:
// what is left to do stands in the tables. Only when those cannot be reached does it come again.
import type { Invocation } from "../jobs/lane.ts";
import { settleMessage, type Message } from "../jobs/take-messages.ts";
import { writeEvent } from "../log.ts";
import { connectionMessageSchema } from "./messages.ts";
import type { WebhookRooms } from "./webhook-rooms.ts";

/** Whether a message of the queue, which jobs use too, is about a connection or its backfill. */
export const isAboutConnection = ({ body }: Pick<Message, "body">): boolean =>
  connectionMessageSchema.safeParse(body).success;

export async function takeConnectionMessages(
  { run, backfill }: Pick<WebhookRooms, "run" | "backfill">,
  messages: readonly Message[],
  on: Invocation,
): Promise<void> {
  await Promise.all(
    messages.map(async (message) => {
      const asked = connectionMessageSchema.parse(message.body);
      const [work, connectionId, backfillId] =
        asked.kind === "backfill"
          ? [backfill(asked.backfill, on), undefined, asked.backfill]
          : [run(asked.connection, on), asked.connection, undefined];
      await settleMessage(message, work, (cause) => {
        const event = { event: "connection_message_failed", connection_id: connectionId };
        writeEvent({ ...event, backfill_id: backfillId, cause }, on.write);
      });
    }),
  );
}
