// Lets a request through to a route only with a valid key.
import type { MiddlewareHandler } from "hono";
import type { Authenticate } from "../auth/authenticate.ts";
import type { Env } from "../env.ts";

export function requireKey(authenticate: Authenticate): MiddlewareHandler<Env> {
  return async (c, next) => {
    const caller = await authenticate(c.req.header("authorization"));
    c.set("caller", caller);
    const { event } = c.get("context");
    event["key_id"] = caller.keyId;
    event["tenant"] = caller.tenant;
    await next();
  };
}
