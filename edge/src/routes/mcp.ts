// POST /mcp: the tools of mcp-server behind an API key, or behind a token that a person let a client have. A tool asks
// this same Worker over the typed client, in the isolate, for the same caller: so it is counted, cached and logged as
// any request is. A token itself goes no further than this.
import { answerMcp, checkHostAndOrigin, type McpExchange } from "@blip2-edge/mcp-server/http";
import { scopesOfCalls } from "@blip2-edge/mcp-server/tool-scopes";
import { createClient } from "@blip2-edge/shared/client";
import { AppError } from "@blip2-edge/shared/problem";
import { traceparentHeader } from "@blip2-edge/shared/wire/traceparent";
import type { Context, Handler, MiddlewareHandler } from "hono";
import type { Settings } from "../config.ts";
import type { Env } from "../env.ts";
import type { Isolate } from "../isolate.ts";
import { scopesAmong } from "../oauth/agent-callers.ts";
import { challengeOf } from "../oauth/challenge.ts";
import { readBytes } from "./read-body.ts";

/** 64 texts of 2,000 characters, each written with an escape, fit. */
const maxBodyBytes = 1_048_576;

/** Before anything is known of the caller. Throws forbidden. */
export function mcpGuard({ MCP_HOSTS }: Settings, route: string): MiddlewareHandler<Env> {
  return async (c, next) => {
    c.get("context").event["route"] = route;
    checkHostAndOrigin(c.req.raw.headers, MCP_HOSTS);
    await next();
  };
}

export function mcpRoute(
  { settings, prepaid, vouched }: Pick<Isolate, "settings" | "prepaid" | "vouched">,
  askSelf: (request: Request, c: Context<Env>) => Promise<Response>,
): Handler<Env> {
  return async (c) => {
    const context = c.get("context");
    const limits = { maxBytes: maxBodyBytes, timeoutMs: settings.BODY_TIMEOUT_MS };
    const body = await readBytes(c.req.raw, limits, context);
    refuseWithoutScope(c, body);
    const caller = c.get("caller");
    let isPaid = true;
    const client = createClient({
      url: new URL(c.req.url).origin,
      // Vouched for, so that whatever the caller showed is shown no further.
      key: "vouched",
      fetch: (input, init) => {
        const asked = vouched.vouch(new Request(input, init), caller);
        // The message itself was counted: it stands for the first request that it leads to.
        if (isPaid) prepaid.add(asked);
        isPaid = false;
        return askSelf(asked, c);
      },
      // The Worker asks its nodes again by itself, and the agent may ask the Worker.
      maxRetries: 0,
    });
    const { signal } = context;
    const askLink: McpExchange["askLink"] = (link, within) =>
      askSelf(new Request(link, { signal: within }), c);
    const traceparent = c.req.header(traceparentHeader);
    const exchange = { body, client, askLink, signal, traceparent };
    return lasting(c, await answerMcp(c.req.raw, exchange));
  };
}

/**
 * What a client may not do because nobody has agreed to it yet: it is told what to ask for. What the key behind it may
 * not do either, the tool itself says, since asking again would change nothing. Throws forbidden.
 */
function refuseWithoutScope(c: Context<Env>, body: Uint8Array): void {
  const agent = c.get("agent");
  if (agent === undefined) return;
  const { granted, grantable, authority } = agent;
  const missing = scopesAmong(scopesOfCalls(body)).filter(
    (scope) => grantable.includes(scope) && !granted.includes(scope),
  );
  if (missing.length === 0) return;
  // With what it has already: the next token is instead of this one.
  const scopes = scopesAmong([...granted, ...missing]);
  c.set("challenge", challengeOf(authority, { error: "insufficient_scope", scopes }));
  throw new AppError(
    "forbidden",
    `This needs the scope \`${missing.join(" ")}\`, which was not granted. Authorize again and ask for it.`,
    { internal: `${agent.grantId} has ${granted.join(" ")}` },
  );
}

/** The request is over when its answer's body is. A caller that leaves ends what is at work for it. */
function lasting(c: Context<Env>, response: Response): Response {
  if (response.body === null) return response;
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  c.get("lastsUntil")(
    response.body.pipeTo(writable).catch((cause: unknown) => {
      throw new AppError("canceled", "The caller went away.", { cause });
    }),
  );
  return new Response(readable, response);
}
