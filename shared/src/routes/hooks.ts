// Rows of the table of the API (../routes.ts) that CMSs call.
import { hookAcceptedSchema } from "../contracts/deliveries.ts";
import type { Route } from "./route.ts";

/** What CMSs call, each in its own words: no method of the client, no operation of the document. */
export const hookRoutes = {
  webhook: {
    id: "webhook",
    method: "POST",
    path: "/v1/webhooks/{connection}",
    scope: null,
    summary: "A CMS says that something happened to its pictures.",
    input: { kind: "none" },
    response: hookAcceptedSchema,
    problems: [
      "not_found",
      "signature_invalid",
      "body_too_large",
      "request_timeout",
      "overloaded",
      "canceled",
    ],
  },
} as const satisfies Record<string, Route>;
export type HookRouteId = keyof typeof hookRoutes;
