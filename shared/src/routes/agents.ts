// Rows of the table of the API (../routes.ts) for agents.
import { mcpMessageSchema, mcpPath } from "../contracts/mcp.ts";
import { keyProblems, distinct } from "./problems.ts";
import type { Route } from "./route.ts";

/** Where agents speak a protocol of their own (MCP): no method of the client, no operation of the document. */
export const agentRoutes = {
  mcp: {
    id: "mcp",
    method: "POST",
    path: mcpPath,
    scope: "any",
    summary: "Tools for agents, as MCP over Streamable HTTP.",
    input: { kind: "none" },
    response: mcpMessageSchema,
    problems: distinct(keyProblems, [
      "body_too_large",
      "request_timeout",
      "overloaded",
      "canceled",
    ]),
  },
} as const satisfies Record<string, Route>;
export type AgentRouteId = keyof typeof agentRoutes;
