// Rows of the table of the API (../routes.ts) that nodes call.
import { heartbeatPath, heartbeatResponseSchema, heartbeatSchema } from "../wire/heartbeat.ts";
import { joinPath, joinRequestSchema, joinResponseSchema } from "../wire/join.ts";
import type { Route } from "./route.ts";

/**
 * What nodes call. Signed, or with a token that is good once; not keyed, and no part of the public API: no client and
 * no document reads it.
 */
export const nodeRoutes = {
  heartbeat: {
    id: "heartbeat",
    method: "POST",
    path: heartbeatPath,
    scope: null,
    summary: "A node announces itself.",
    input: { kind: "json", schema: heartbeatSchema },
    response: heartbeatResponseSchema,
    problems: [
      "signature_invalid",
      "forbidden",
      "invalid_request",
      "body_too_large",
      "request_timeout",
      "overloaded",
      "registry_unavailable",
      "canceled",
    ],
  },
  nodeJoin: {
    id: "nodeJoin",
    method: "POST",
    path: joinPath,
    scope: null,
    summary: "A node gives its token and gets its key.",
    input: { kind: "json", schema: joinRequestSchema },
    response: joinResponseSchema,
    status: 201,
    problems: [
      "forbidden",
      "invalid_request",
      "body_too_large",
      "request_timeout",
      "unsupported_media_type",
      "overloaded",
      "registry_unavailable",
      "canceled",
    ],
  },
} as const satisfies Record<string, Route>;
export type NodeRouteId = keyof typeof nodeRoutes;
