// Rows of the table of the API (../routes.ts): what people have let clients do for them (OAuth).
import {
  grantListSchema,
  grantSchema,
  listGrantsQuerySchema,
  oneGrantRequestSchema,
} from "../contracts/grants.ts";
import { keyProblems, distinct } from "./problems.ts";
import type { Route } from "./route.ts";

export const grantsRoutes = {
  grantList: {
    id: "grantList",
    method: "GET",
    path: "/v1/grants",
    scope: "any",
    summary: "Lists what clients may do for the tenant by OAuth; without `admin`, for the key.",
    input: { kind: "query", schema: listGrantsQuerySchema },
    response: grantListSchema,
    problems: distinct(keyProblems, ["invalid_request"]),
  },
  grantRevoke: {
    id: "grantRevoke",
    method: "DELETE",
    path: "/v1/grants/{id}",
    scope: "any",
    summary: "Ends a grant: its tokens are refused from then on.",
    input: { kind: "query", schema: oneGrantRequestSchema },
    response: grantSchema,
    problems: distinct(keyProblems, ["invalid_request", "not_found"]),
  },
} as const satisfies Record<string, Route>;
