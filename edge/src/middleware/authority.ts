// The authorization server of the origin that a request came to; what it notes goes into that request's log line.
import type { Context } from "hono";
import type { Env } from "../env.ts";
import type { Authority } from "../oauth/authority.ts";
import type { OAuthRooms } from "../oauth/oauth-rooms.ts";

/** Undefined where there is no OAuth: it is off, or this origin can be no issuer. */
export function authorityOf(oauth: OAuthRooms | undefined, c: Context<Env>): Authority | undefined {
  const { event } = c.get("context");
  return oauth?.authorityAt(new URL(c.req.url).origin, (fault) => {
    event["oauth_fault"] = fault;
  });
}
