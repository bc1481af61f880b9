// MCP over Streamable HTTP as plain fetch: every request has a server of its own and nothing is held between
// two, so any isolate may answer any of them. Who may ask is the business of whoever mounts it.
import { AppError } from "@blip2-edge/shared/problem";
import {
  createMcpHandler,
  validateHostHeader,
  validateOriginHeader,
} from "@modelcontextprotocol/server";
import { createServer, type McpServerParts } from "./server.ts";

/** The platform tells that a caller has left when something is written to it, so a comment is, and answers stream. */
const keepAliveMs = 1000;
const responseMode = "sse";

export interface McpExchange extends McpServerParts {
  /** Already read, and not longer than may be. */
  readonly body: Uint8Array<ArrayBuffer>;
}

export function answerMcp(request: Request, { body, ...parts }: McpExchange): Promise<Response> {
  const handler = createMcpHandler(() => createServer(parts), {
    keepAliveMs,
    responseMode,
    maxRequestBodySize: Math.max(body.length, 1),
    // The lists never change, so there is nothing to wait for.
    maxSubscriptions: 0,
  });
  return handler.fetch(
    new Request(request.url, {
      method: request.method,
      headers: request.headers,
      body,
      ...(parts.signal === undefined ? {} : { signal: parts.signal }),
    }),
  );
}

/**
 * Against DNS rebinding: a page that made its own name point here comes with that name as Host, and with its
 * Origin. Throws forbidden.
 */
export function checkHostAndOrigin(headers: Headers, hosts: readonly string[]): void {
  const host = validateHostHeader(headers.get("host"), [...hosts]);
  if (!host.ok) {
    throw new AppError("forbidden", "This host name is not served at /mcp (setting MCP_HOSTS).", {
      internal: host.message,
    });
  }
  const origin = validateOriginHeader(headers.get("origin"), [...hosts]);
  if (!origin.ok) {
    throw new AppError("forbidden", "Pages of this origin may not use /mcp (setting MCP_HOSTS).", {
      internal: origin.message,
    });
  }
}
