// Lets a request through to a route only with a valid key that may do what the route does and does not
// come too often. What is refused for its rate has cost one look into the isolate's memory.
import { mayDo, type Scope } from "@blip2-edge/shared/contracts/keys";
import { AppError } from "@blip2-edge/shared/problem";
import type { Context, MiddlewareHandler } from "hono";
import type { Caller } from "../auth/caller.ts";
import type { RequestContext } from "../context.ts";
import type { Env } from "../env.ts";
import type { Isolate } from "../isolate.ts";
import { reportViolation } from "../usage/limit-headers.ts";
import type { CountRequest } from "../usage/rate.ts";

export type KeyRooms = Pick<
  Isolate,
  "authenticate" | "countRequest" | "noteUse" | "prepaid" | "vouched"
>;
/** Throws unauthorized. */
export type WhoAsks = (c: Context<Env>) => Promise<Caller>;

/** Throws unauthorized, rate_limited, forbidden. `any`: whatever the key may do. */
export function requireKey(
  rooms: KeyRooms,
): (scope: Scope | "any", whoAsks?: WhoAsks) => MiddlewareHandler<Env> {
  const byKey: WhoAsks = async (c) =>
    c.get("signed")?.by ??
    rooms.vouched.callerOf(c.req.raw) ??
    rooms.authenticate(c.req.header("authorization"));
  return (scope, whoAsks = byKey) =>
    async (c, next) => {
      const context = c.get("context");
      const caller = await context.hops.time("auth", () => whoAsks(c));
      c.set("caller", caller);
      context.event["key_id"] = caller.keyId;
      context.event["tenant"] = caller.tenant;
      context.limits.limits = caller.limits;
      const noted = rooms.noteUse(caller.keyId);
      if (noted !== undefined) context.later(noted);
      if (!rooms.prepaid.has(c.req.raw)) countOrRefuse(rooms.countRequest, caller, context);
      if (scope !== "any" && !mayDo(caller.scopes, scope)) {
        throw new AppError("forbidden", `The key lacks the scope \`${scope}\`, which this needs.`, {
          internal: `${caller.keyId} has ${caller.scopes.join(" ")}`,
        });
      }
      await next();
    };
}

function countOrRefuse(
  count: CountRequest,
  { keyId, limits: { requestsPerMinute } }: Caller,
  { limits }: RequestContext,
): void {
  if (requestsPerMinute === null) return;
  const { allowed, remaining, resetS } = count(keyId, requestsPerMinute);
  limits.states.set("rate", { remaining, resetS });
  if (allowed) return;
  reportViolation(limits, "rate", { remaining, resetS });
  throw new AppError(
    "rate_limited",
    `This key may send ${requestsPerMinute} requests a minute. Try again after the time in Retry-After.`,
    { retryAfterS: resetS },
  );
}
