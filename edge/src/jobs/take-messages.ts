// The consumer of the queue of jobs. A message that was understood is done with, however its work went: what is
// left to do stands in the tables. Only when those cannot be reached does it come again.
import { describeError, writeEvent } from "../log.ts";
import type { JobRooms } from "./job-rooms.ts";
import type { Invocation } from "./lane.ts";
import { jobMessageSchema } from "./messages.ts";

export interface Message {
  readonly body: unknown;
  ack(): void;
  retry(options: { delaySeconds: number }): void;
}

const retryAfterS = 10;

export async function takeJobMessages(
  { runLane, tellWebhook }: Pick<JobRooms, "runLane" | "tellWebhook">,
  messages: readonly Message[],
  on: Invocation,
): Promise<void> {
  await Promise.all(
    messages.map(async (message) => {
      const parsed = jobMessageSchema.safeParse(message.body);
      if (!parsed.success) {
        writeEvent({ event: "job_message_unknown" }, on.write);
        return message.ack();
      }
      const { kind, job } = parsed.data;
      const work = kind === "run" ? runLane(job, on) : tellWebhook(job, on);
      await settleMessage(message, work, (cause) =>
        writeEvent({ event: "job_message_failed", kind, job_id: job, cause }, on.write),
      );
    }),
  );
}

/** `onFailure`: told why the work could not reach its tables. */
export async function settleMessage(
  message: Pick<Message, "ack" | "retry">,
  work: Promise<void>,
  onFailure: (cause: ReturnType<typeof describeError>) => void,
): Promise<void> {
  try {
    await work;
    message.ack();
  } catch (error) {
    onFailure(describeError(error));
    message.retry({ delaySeconds: retryAfterS });
  }
}
