// The consumer of messages about connections. A message that was understood is done with, however its work went:
// what is left to do stands in the tables. Only when those cannot be reached does it come again.
import type { Invocation } from "../jobs/lane.ts";
import { settleMessage, type Message } from "../jobs/take-messages.ts";
import { writeEvent } from "../log.ts";
import type { RunConnection } from "./lane.ts";
import { connectionMessageSchema } from "./messages.ts";

/** Whether a message of the queue, which jobs use too, is about a connection. */
export const isAboutConnection = ({ body }: Pick<Message, "body">): boolean =>
  connectionMessageSchema.safeParse(body).success;

export async function takeConnectionMessages(
  run: RunConnection,
  messages: readonly Message[],
  on: Invocation,
): Promise<void> {
  await Promise.all(
    messages.map(async (message) => {
      const { connection } = connectionMessageSchema.parse(message.body);
      await settleMessage(message, run(connection, on), (cause) => {
        const event = { event: "connection_message_failed", connection_id: connection };
        writeEvent({ ...event, cause }, on.write);
      });
    }),
  );
}
