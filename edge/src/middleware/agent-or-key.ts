// Who asks at /mcp: an API key, or a client that a person has let act for them. Whoever is refused is told where to
// get a token, if there is anywhere.
import { agentScopes } from "@blip2-edge/shared/contracts/grants";
import { AppError } from "@blip2-edge/shared/problem";
import type { Context } from "hono";
import type { Env } from "../env.ts";
import type { Isolate } from "../isolate.ts";
import { agentTokenOf } from "../oauth/agent-callers.ts";
import { challengeOf } from "../oauth/challenge.ts";
import type { WhoAsks } from "./authenticate.ts";
import { authorityOf } from "./authority.ts";

/** Throws unauthorized. */
export function agentOrKey({
  oauth,
  authenticate,
}: Pick<Isolate, "oauth" | "authenticate">): WhoAsks {
  return async (c: Context<Env>) => {
    const header = c.req.header("authorization");
    const authority = authorityOf(oauth, c);
    if (oauth === undefined || authority === undefined) return authenticate(header);
    try {
      const token = agentTokenOf(header);
      if (token === undefined) return await authenticate(header);
      const agent = await oauth.findAgent(token, authority);
      c.set("agent", { ...agent, authority });
      c.get("context").event["grant_id"] = agent.grantId;
      return agent.caller;
    } catch (error) {
      if (error instanceof AppError && error.code === "unauthorized") {
        const wrong = header === undefined ? {} : { error: "invalid_token" as const };
        c.set("challenge", challengeOf(authority, { ...wrong, scopes: agentScopes }));
      }
      throw error;
    }
  };
}
