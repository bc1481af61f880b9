// Makes a job: its requests go to R2 first, then its rows, all at once; the queue hears of it last. What is
// lost in between is an object that nobody knows, or a message that the sweep sends again.
import {
  askedOf,
  defaultJobSeconds,
  type CreateJobRequest,
} from "@blip2-edge/shared/contracts/jobs";
import { AppError } from "@blip2-edge/shared/problem";
import type { Caller } from "../auth/caller.ts";
import { fileOf, type JobFiles } from "./job-files.ts";
import type { JobRecord } from "./job-record.ts";
import type { JobStore } from "./job-store.ts";
import type { JobQueue } from "./messages.ts";
import { refuseIndexing } from "./run-item.ts";
import { refuseWebhookUrl, webhookPurpose, type WebhookRooms } from "./webhook.ts";

export interface CreateJobRooms extends Pick<
  WebhookRooms,
  "sealer" | "policy" | "internet" | "privateNet"
> {
  readonly jobs: Pick<JobStore, "create">;
  readonly files: Pick<JobFiles, "putItems" | "dropAll">;
  readonly queue: JobQueue;
  readonly now?: () => number;
}

/** The same id again gives the same job. Throws forbidden, url_refused, too_many_jobs. */
export async function createJob(
  rooms: CreateJobRooms,
  id: string,
  request: CreateJobRequest,
  caller: Caller,
  later: (work: Promise<unknown>) => void,
): Promise<JobRecord> {
  if (caller.noStore) {
    throw new AppError(
      "forbidden",
      "Nothing of this key's requests is kept, and a job's results must be. Use a key that may keep.",
    );
  }
  const { jobs, files, queue, sealer, now = Date.now } = rooms;
  const { name, task, parameters, items, webhook } = request;
  const { tenant, keyId } = caller;
  if (webhook !== undefined) refuseWebhookUrl(rooms, webhook.url, caller);
  const defaults = { task, parameters };
  if (items.some((item) => askedOf(item, defaults).task === "index")) refuseIndexing(caller);
  const file = fileOf(items);
  await files.putItems(tenant, id, file);
  let made: JobRecord;
  try {
    made = await jobs.create({
      ...{ id, tenant, keyId, name, defaults },
      items: items.map((item, index) => {
        const { task: asked } = askedOf(item, defaults);
        const range = file.ranges[index];
        if (asked === undefined || range === undefined) throw new Error("an item was not checked");
        return { id: item.id, task: asked, ...range };
      }),
      expiresAt: now() + (request.expires_in_s ?? defaultJobSeconds) * 1000,
      webhook:
        webhook === undefined
          ? undefined
          : {
              url: webhook.url,
              sealedSecret: await sealer.seal(webhookPurpose(id), webhook.secret),
            },
    });
  } catch (error) {
    if (error instanceof AppError) later(files.dropAll(tenant, id));
    throw error;
  }
  // Without the message the sweep finds it.
  later(queue.send({ kind: "run", job: id }));
  return made;
}
