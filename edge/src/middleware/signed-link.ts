// A request whose query was signed by POST /v1/caption/links: the key that signed it answers for it, with its scopes,
// its limits and its usage, for as long as it is valid itself. What the visitor wishes of caches is passed over, for
// an inference of each would be at the key's cost; what the key may spend is not told.
import { queryFields } from "@blip2-edge/shared/contracts/refuse";
import type { MiddlewareHandler } from "hono";
import { noWishes } from "../context.ts";
import type { Env } from "../env.ts";
import type { Isolate } from "../isolate.ts";
import { linkInvalid } from "../links/link-invalid.ts";

/** Sets the caller, so that no key is asked for. Throws link_invalid. */
export function takeSignedLink({
  captionLinks,
  callerOfKey,
}: Pick<Isolate, "captionLinks" | "callerOfKey">): MiddlewareHandler<Env> {
  return async (c, next) => {
    const query = new URL(c.req.raw.url).searchParams;
    if (!query.has("signed")) return next();
    const { signed = "", ...fields } = queryFields(query);
    const link = await captionLinks.read(signed, fields);
    if (link === undefined) throw linkInvalid("not one of ours, or of another question");
    if (link.until * 1000 <= Date.now()) throw linkInvalid(`over, of ${link.keyId}`);
    const signer = await callerOfKey(link.keyId);
    if (signer === undefined) throw linkInvalid(`no valid key any more: ${link.keyId}`);
    const context = c.get("context");
    context.event["signed"] = true;
    c.set("context", { ...context, wishes: noWishes });
    c.set("signed", { by: signer, until: link.until });
    await next();
    context.limits.limits = undefined;
    context.limits.states.clear();
  };
}
