// POST /mcp: the tools of mcp-server behind an API key. A tool asks this same Worker over the typed client, in
// the isolate, with the caller's key: so it is authenticated, counted, cached and logged as any request is.
import { answerMcp, checkHostAndOrigin } from "@blip2-edge/mcp-server/http";
import { createClient } from "@blip2-edge/shared/client";
import { AppError } from "@blip2-edge/shared/problem";
import { traceparentHeader } from "@blip2-edge/shared/wire/traceparent";
import type { Context, Handler, MiddlewareHandler } from "hono";
import type { Settings } from "../config.ts";
import type { Env } from "../env.ts";
import type { Isolate } from "../isolate.ts";
import { readBytes } from "./read-body.ts";

/** 64 texts of 2,000 characters, each written with an escape, fit. */
const maxBodyBytes = 1_048_576;

/** Before anything is known of the caller. Throws forbidden. */
export function mcpGuard({ MCP_HOSTS }: Settings): MiddlewareHandler<Env> {
  return async (c, next) => {
    c.get("context").event["route"] = "mcp";
    checkHostAndOrigin(c.req.raw.headers, MCP_HOSTS);
    await next();
  };
}

export function mcpRoute(
  { settings, prepaid }: Pick<Isolate, "settings" | "prepaid">,
  askSelf: (request: Request, c: Context<Env>) => Promise<Response>,
): Handler<Env> {
  return async (c) => {
    const context = c.get("context");
    const limits = { maxBytes: maxBodyBytes, timeoutMs: settings.BODY_TIMEOUT_MS };
    const body = await readBytes(c.req.raw, limits, context);
    let isPaid = true;
    const client = createClient({
      url: new URL(c.req.url).origin,
      key: keyOf(c.req.header("authorization")),
      fetch: (input, init) => {
        const asked = new Request(input, init);
        // The message itself was counted: it stands for the first request that it leads to.
        if (isPaid) prepaid.add(asked);
        isPaid = false;
        return askSelf(asked, c);
      },
      // The Worker asks its nodes again by itself, and the agent may ask the Worker.
      maxRetries: 0,
    });
    const { signal } = context;
    const traceparent = c.req.header(traceparentHeader);
    return lasting(c, await answerMcp(c.req.raw, { body, client, signal, traceparent }));
  };
}

const keyOf = (authorization = ""): string => authorization.trim().replace(/^bearer +/i, "");

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
