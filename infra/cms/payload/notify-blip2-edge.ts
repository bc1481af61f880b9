// For a Payload project, to copy: `hooks: { afterChange: [notifyBlip2Edge({ url, secret })] }` of a collection of
// uploads tells a blip2-edge connection of new and replaced files, signed as Standard Webhooks has it. It never makes a
// save fail, says nothing when only words change, and tells once: what is lost is found by the connection's sweep.
import { createHmac, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

export interface Blip2EdgeConnection {
  /** Where the connection's webhooks go: https://edge.example.com/v1/webhooks/con_… */
  readonly url: string;
  /** whsec_… */
  readonly secret: string;
  /** Where a process ends with its answer: what keeps it alive for a while, such as `after` of next/server. */
  readonly later?: (work: () => Promise<void>) => void;
}

interface Upload {
  readonly id: string | number;
  readonly filename?: string | null;
  readonly mimeType?: string | null;
  readonly filesize?: number | null;
  readonly width?: number | null;
  readonly height?: number | null;
}

/** What is used of the arguments of Payload's CollectionAfterChangeHook. */
interface Change {
  readonly doc: Upload;
  readonly previousDoc?: Upload;
  readonly operation: "create" | "update";
  readonly req: {
    readonly transactionID?: unknown;
    readonly payload: { readonly logger: { error(what: string): void } };
  };
}

const timeoutMs = 5000;
const commitWaitMs = 20;
const longestCommitMs = 30_000;

const factsOf = ({ filename, mimeType, filesize, width, height }: Upload) => ({
  ...{ file: filename, mime_type: mimeType, filesize, width, height },
});
const isSameFile = (doc: Upload, before: Upload | undefined): boolean =>
  before !== undefined && JSON.stringify(factsOf(doc)) === JSON.stringify(factsOf(before));

export const notifyBlip2Edge =
  ({ url, secret, later = (work) => void work() }: Blip2EdgeConnection) =>
  ({ doc, previousDoc, operation, req }: Change): Upload => {
    if (operation === "update" && isSameFile(doc, previousDoc)) return doc;
    const type = operation === "create" ? "asset.created" : "asset.updated";
    const data = { id: doc.id, ...factsOf(doc) };
    later(async () => {
      try {
        await committed(req);
        await tell(url, secret, { type, timestamp: new Date().toISOString(), data });
      } catch (error) {
        req.payload.logger.error(`blip2-edge: upload ${doc.id} was not told: ${String(error)}`);
      }
    });
    return doc;
  };

/**
 * Until then nobody else sees the document, and a connection that looks for it finds nothing. Payload has no hook
 * for it; it takes the transaction's id from the request.
 */
async function committed(req: Change["req"]): Promise<void> {
  const until = Date.now() + longestCommitMs;
  while ((req.transactionID ?? null) !== null && Date.now() < until) await sleep(commitWaitMs);
}

async function tell(url: string, secret: string, message: object): Promise<void> {
  const id = `msg_${randomUUID()}`;
  const at = String(Math.floor(Date.now() / 1000));
  const body = JSON.stringify(message);
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const signature = createHmac("sha256", key).update(`${id}.${at}.${body}`).digest("base64");
  const response = await fetch(url, {
    method: "POST",
    headers: {
      ...{ "content-type": "application/json", "webhook-id": id, "webhook-timestamp": at },
      "webhook-signature": `v1,${signature}`,
    },
    body,
    redirect: "manual",
    signal: AbortSignal.timeout(timeoutMs),
  });
  await response.body?.cancel();
  if (response.status !== 200) throw new Error(`status ${response.status}`);
}
