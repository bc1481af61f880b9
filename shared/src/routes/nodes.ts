// Rows of the table of the API (../routes.ts) that nodes call.
import { heartbeatPath, heartbeatResponseSchema, heartbeatSchema } from "../wire/heartbeat.ts";
import type { Route } from "./route.ts";

/** What nodes call. Signed, not keyed, and no part of the public API: no client and no document reads it. */
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
} as const satisfies Record<string, Route>;
export type NodeRouteId = keyof typeof nodeRoutes;
