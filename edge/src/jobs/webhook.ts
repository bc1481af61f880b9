// Tells a job's receiver that it is over, as the Standard Webhooks specification has it: signed, at least once,
// under an id that stays the same. Where it may go the guard of picture URLs says, each time anew; redirects
// are not followed, and nothing of the answer but its status is read.
import { AppError } from "@blip2-edge/shared/problem";
import { Webhook } from "standardwebhooks";
import type { Caller } from "../auth/caller.ts";
import type { KeyCaller } from "../auth/key-caller.ts";
import type { Sealer } from "../auth/seal.ts";
import { admission, urlRefused } from "../images/admit.ts";
import type { Fetch } from "../images/fetch.ts";
import type { UrlPolicy } from "../images/url-guard.ts";
import { describeError, writeEvent, type LogEvent } from "../log.ts";
import type { HookStore } from "./hook-store.ts";
import { jobOf, type JobRecord } from "./job-record.ts";
import type { Invocation } from "./lane.ts";

export interface WebhookRooms {
  readonly hooks: HookStore;
  readonly callerOfKey: KeyCaller;
  readonly sealer: Sealer;
  readonly policy: UrlPolicy;
  readonly internet: Fetch;
  readonly privateNet: Fetch | undefined;
  readonly timeoutMs: number;
  /** Before the second attempt, the third, and so on: after the last there is no other. */
  readonly waitsMs: readonly number[];
  readonly now?: () => number;
  readonly random?: () => number;
}

const leaseGraceMs = 30_000;
/** The receiver wants no more of it (Standard Webhooks). */
const gone = 410;

export const webhookPurpose = (jobId: string): string => `webhook ${jobId}`;

type WaysOut = Pick<WebhookRooms, "policy" | "internet" | "privateNet">;

/** The way to a URL that the guard and the key's allow-list let through. Throws url_refused. */
function wayTo(
  { policy, internet, privateNet }: WaysOut,
  text: string,
  { fetchAllow }: Pick<Caller, "fetchAllow">,
): { readonly url: URL; readonly send: Fetch } {
  const { url, via } = admission(policy)(text, fetchAllow);
  const send = via === "private" ? privateNet : internet;
  if (send === undefined) throw urlRefused("no private network bound");
  return { url, send };
}

/** Throws url_refused, as vague as for a picture. */
export function refuseWebhookUrl(
  ways: WaysOut,
  url: string,
  caller: Pick<Caller, "fetchAllow">,
): void {
  try {
    wayTo(ways, url, caller);
  } catch (error) {
    const internal = error instanceof AppError ? (error.internal ?? "") : describeError(error);
    throw new AppError(
      "url_refused",
      "`webhook.url` may not be called. Give a plain public http or https URL.",
      { internal: `webhook: ${internal}` },
    );
  }
}

/** The body: the same each time it is sent. */
function bodyOf(job: JobRecord): string {
  const { id, name, state, counts, problem, created_at, started_at, finished_at } = jobOf(
    job,
    {},
    0,
  );
  const data = { id, name, state, counts, problem, created_at, started_at, finished_at };
  return JSON.stringify({ type: `job.${state}`, timestamp: finished_at, data });
}

/** Tries once, when it is due, and writes down how it went. Rejects only when the tables cannot be reached. */
export function webhookSender(rooms: WebhookRooms) {
  const { hooks, callerOfKey, sealer, timeoutMs } = rooms;
  const { waitsMs, now = Date.now, random = Math.random } = rooms;

  async function attempt(job: JobRecord, event: LogEvent): Promise<number | null> {
    const caller = await callerOfKey(job.key_id);
    // A key that ended does not keep its receiver from hearing so; where it may go has been checked.
    const { url, send } = wayTo(rooms, job.hook_url ?? "", caller ?? { fetchAllow: [] });
    event["host"] = url.host;
    const secret = await sealer.open(webhookPurpose(job.id), job.hook_secret ?? "");
    if (secret === undefined) throw new Error("the webhook's secret cannot be opened");
    const body = bodyOf(job);
    const id = `msg_${job.id.slice("job_".length)}`;
    const at = new Date(now());
    const response = await send(url.href, {
      method: "POST",
      redirect: "manual",
      signal: AbortSignal.timeout(timeoutMs),
      headers: {
        "content-type": "application/json",
        "user-agent": "blip2-edge",
        "webhook-id": id,
        "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
        "webhook-signature": new Webhook(secret).sign(id, at, body),
      },
      body,
    });
    await response.body?.cancel();
    return response.status;
  }

  return async (jobId: string, on: Invocation): Promise<void> => {
    const job = await hooks.claim(jobId, timeoutMs + leaseGraceMs);
    if (job === undefined) return;
    const event: LogEvent = {
      event: "job_webhook",
      at: new Date(now()).toISOString(),
      job_id: jobId,
    };
    event["attempt"] = job.hook_attempts;
    let status: number | null = null;
    try {
      status = await attempt(job, event);
    } catch (error) {
      event["cause"] = describeError(error);
      if (error instanceof AppError) event["internal"] = error.internal;
    }
    event["status"] = status;
    const waitMs = waitsMs[job.hook_attempts - 1];
    if (status !== null && status >= 200 && status < 300) {
      event["outcome"] = "delivered";
      await hooks.settle(job, "delivered", status);
    } else if (status === gone || waitMs === undefined) {
      event["outcome"] = "failed";
      await hooks.settle(job, "failed", status);
    } else {
      event["outcome"] = "again";
      await hooks.retryAt(job, now() + Math.round(waitMs * (1 + random() / 10)), status);
    }
    writeEvent(event, on.write);
  };
}
