// POST /internal/nodes/heartbeat: a node announces itself. Who cannot sign learns nothing.
import { AppError } from "@blip2-edge/shared/problem";
import { readBounded } from "@blip2-edge/shared/read-bounded";
import { maxHeartbeatBytes } from "@blip2-edge/shared/wire/heartbeat";
import type { Context } from "hono";
import type { Env } from "../env.ts";
import type { Isolate } from "../isolate.ts";

export function heartbeatRoute({
  announcements,
  settings,
}: Pick<Isolate, "announcements" | "settings">) {
  return async (c: Context<Env>): Promise<Response> => {
    const { event, signal } = c.get("context");
    const { method, url, headers } = c.req.raw;
    const readBody = async (): Promise<Uint8Array> => {
      const late = AbortSignal.timeout(settings.BODY_TIMEOUT_MS);
      const bounded = AbortSignal.any([signal, late]);
      const read = await readBounded(c.req.raw.body, maxHeartbeatBytes, bounded).catch(
        (cause: unknown) => {
          throw late.aborted
            ? new AppError("request_timeout", "The heartbeat arrived too slowly.")
            : new AppError("canceled", "The heartbeat broke off.", { cause });
        },
      );
      if (read.ok) return read.bytes;
      throw new AppError("body_too_large", `A heartbeat has at most ${maxHeartbeatBytes} bytes.`);
    };
    const { node, answer } = await announcements.hear({ method, url, headers }, readBody);
    event["node"] = node;
    return c.json(answer, 200, { "cache-control": "no-store" });
  };
}
