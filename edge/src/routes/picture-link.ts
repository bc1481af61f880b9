// GET /i/{token}: a picture's file to whoever has its link. Nothing of it lies in a cache of ours, and only the
// caller's own may keep it for a while: when the picture is deleted, its links are dead.
import { AppError } from "@blip2-edge/shared/problem";
import type { Context, Handler } from "hono";
import { matchesEntityTag } from "../cache/answer-headers.ts";
import type { Env } from "../env.ts";
import type { Isolate } from "../isolate.ts";
import { linkInvalid } from "../links/link-invalid.ts";
import { tenantPartition } from "../partition.ts";

/** A picture from anywhere, shown under this host's name: it runs nothing, loads nothing, is no page of ours. */
const asPicture = {
  "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
  "content-disposition": "inline",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "x-robots-tag": "noindex",
  // Whoever has the link may show it: it is the link that is checked, no cookie and no key.
  "access-control-allow-origin": "*",
  "cross-origin-resource-policy": "cross-origin",
};

export function pictureLinkRoute(isolate: Isolate): Handler<Env> {
  const { settings, pictureLinks, roomsFor } = isolate;
  return async (c: Context<Env>): Promise<Response> => {
    const context = c.get("context");
    const target = await pictureLinks.read(c.req.param("token") ?? "");
    if (target === undefined) throw linkInvalid("not one of ours");
    const leftS = target.until - Math.ceil(Date.now() / 1000);
    if (leftS <= 0) throw linkInvalid("over");
    context.event["tenant"] = target.tenant;
    context.event["picture_variant"] = target.variant;
    const found = await roomsFor(context).kept.open(tenantPartition(target.tenant), target);
    if (found === undefined) {
      throw new AppError("not_found", "The picture that this link led to is not kept any more.");
    }
    const headers = {
      ...asPicture,
      etag: found.tag,
      "cache-control": `private, max-age=${Math.min(leftS, settings.GET_MAX_AGE_S)}`,
    };
    if (matchesEntityTag(c.req.header("if-none-match"), found.tag)) {
      await found.body.cancel();
      return new Response(null, { status: 304, headers });
    }
    context.event["answer_bytes"] = found.bytes;
    return new Response(found.body, {
      headers: {
        ...headers,
        "content-type": found.type,
        "content-length": String(found.bytes),
      },
    });
  };
}
