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
      const about = connectionMessageSchema.parse(message.body);
      const isBackfill = about.kind === "backfill";
      const work = isBackfill ? backfill(about.backfill, on) : run(about.connection, on);
      const id = isBackfill ? { backfill_id: about.backfill } : { connection_id: about.connection };
      await settleMessage(message, work, (cause) =>
        writeEvent({ event: "connection_message_failed", ...id, cause }, on.write),
      );
    }),
  );
}
