// MCP over Streamable HTTP as plain fetch: every request has a server of its own and nothing is held between
// two, so any isolate may answer any of them. Who may ask is the business of whoever mounts it.
import { AppError } from "@blip2-edge/shared/problem";
import {
  createMcpHandler,
  METHOD_NOT_FOUND,
  validateHostHeader,
  validateOriginHeader,
  type McpServerFactory,
} from "@modelcontextprotocol/server";
import { streamLate } from "./stream-late.ts";
import { createServer, type McpServerParts } from "./server.ts";

export interface McpExchange extends McpServerParts {
  /** Already read, and not longer than may be. */
  readonly body: Uint8Array<ArrayBuffer>;
}

export const answerMcp = (request: Request, { body, ...parts }: McpExchange): Promise<Response> =>
  answerFrom(() => createServer(parts), { request, body, signal: parts.signal });

/** The way of every message, whatever server answers it. */
export async function answerFrom(
  makeServer: McpServerFactory,
  {
    request,
    body,
    signal,
  }: Pick<McpExchange, "body"> & {
    readonly request: Request;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<Response> {
  const nothing = nothingToListenTo(request, body);
  if (nothing !== undefined) return nothing;
  const left = new AbortController();
  const handler = createMcpHandler(makeServer, {
    keepAliveMs: beatMs,
    maxRequestBodySize: Math.max(body.length, 1),
    maxSubscriptions: 0,
  });
  const answering = handler.fetch(
    new Request(request.url, {
      method: request.method,
      headers: request.headers,
      body,
      signal: signal === undefined ? left.signal : AbortSignal.any([signal, left.signal]),
    }),
  );
  return streamLate(answering, { afterMs: beatMs, beatMs, onLeft: () => left.abort() });
}

const beatMs = 1000;

const listenMethod = "subscriptions/listen";

/** The lists never change, so the method is not there; the handler itself knows only of too many who listen. */
function nothingToListenTo(request: Request, body: Uint8Array): Response | undefined {
  if (request.headers.get("mcp-method") !== listenMethod) return undefined;
  const message = parsed(body);
  if (message?.method !== listenMethod) return undefined;
  const { id = null } = message;
  const error = { code: METHOD_NOT_FOUND, message: "Nothing here changes by itself." };
  return Response.json({ jsonrpc: "2.0", id, error }, { status: 404 });
}

interface Message {
  readonly method?: unknown;
  readonly id?: unknown;
}
function parsed(body: Uint8Array): Message | undefined {
  try {
    return (JSON.parse(new TextDecoder().decode(body)) as Message | null) ?? undefined;
  } catch {
    return undefined;
  }
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
