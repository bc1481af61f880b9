// A sender that signs as Standard Webhooks has it, for the stand-ins whose real sender is ours.
import { randomUUID } from "node:crypto";
import { Webhook } from "standardwebhooks";
import type { FakeHook, FakeVendor } from "./fake-cms.ts";

export const standardProof: FakeVendor["proof"] = {
  headers: ["webhook-id", "webhook-timestamp", "webhook-signature"],
  ...{ windowMs: 300_000, coversBody: true },
};

export function standardHook(body: string, secret: string, now: Date): FakeHook {
  const messageId = `msg_${randomUUID()}`;
  return {
    headers: {
      ...{ "content-type": "application/json", "webhook-id": messageId },
      "webhook-timestamp": String(Math.floor(now.getTime() / 1000)),
      "webhook-signature": new Webhook(secret).sign(messageId, now, body),
    },
    body,
  };
}
