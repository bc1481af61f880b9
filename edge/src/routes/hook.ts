// POST /v1/webhooks/{connection}: a CMS says that something happened to its pictures. Answered with 200 once it is
// written down: some senders take no other status for success (docs/decisions/0171).
import { AppError } from "@blip2-edge/shared/problem";
import type { HookAccepted } from "@blip2-edge/shared/contracts/deliveries";
import { connectionIdSchema } from "@blip2-edge/shared/contracts/connections";
import type { Context } from "hono";
import type { Env } from "../env.ts";
import type { Isolate } from "../isolate.ts";
import { receiveHook } from "../webhooks/inbox.ts";
import { readBytes } from "./read-body.ts";
import { bodyLimits } from "./request.ts";

const maxHookBytes = 1_048_576;

export function hookRoute({ webhooks, settings }: Pick<Isolate, "webhooks" | "settings">) {
  return async (c: Context<Env>): Promise<Response> => {
    const context = c.get("context");
    const id = connectionIdSchema.safeParse(c.req.param("connection"));
    if (!id.success) throw new AppError("not_found", "There is no connection at this address.");
    context.event["connection_id"] = id.data;
    const { timeoutMs, maxBytes } = bodyLimits(settings);
    const limits = { timeoutMs, maxBytes: Math.min(maxBytes, maxHookBytes) };
    const body = await readBytes(c.req.raw, limits, context);
    const { url, headers } = c.req.raw;
    const hook = { url: new URL(url), headers, body };
    const accepted: HookAccepted = await receiveHook(webhooks, id.data, hook, context.later);
    context.event["deliveries"] = accepted.received;
    return c.json(accepted, 200, { "cache-control": "no-store" });
  };
}
