// Rows of the table of the API (../routes.ts): the machines behind the Worker, for operators.
import {
  createNodeTokenRequestSchema,
  nodeListSchema,
  nodeSchema,
  nodeTokenSchema,
  oneNodeRequestSchema,
  rotateNodeRequestSchema,
} from "../contracts/nodes.ts";
import { bodyProblems, distinct, keyProblems } from "./problems.ts";
import type { Route } from "./route.ts";

export const fleetRoutes = {
  nodeList: {
    id: "nodeList",
    method: "GET",
    path: "/v1/nodes",
    scope: "admin",
    summary: "Lists the nodes that are known; for operators.",
    input: { kind: "none" },
    response: nodeListSchema,
    problems: distinct(keyProblems, ["registry_unavailable"]),
  },
  nodeTokenCreate: {
    id: "nodeTokenCreate",
    method: "POST",
    path: "/v1/nodes/tokens",
    scope: "admin",
    summary:
      "Makes a token with which a node joins, once; for operators. Another for the same name ends it.",
    input: { kind: "json", schema: createNodeTokenRequestSchema },
    response: nodeTokenSchema,
    status: 201,
    idempotent: true,
    problems: distinct(keyProblems, bodyProblems, [
      "registry_unavailable",
      "overloaded",
      "canceled",
    ]),
  },
  nodeRotate: {
    id: "nodeRotate",
    method: "POST",
    path: "/v1/nodes/{name}/rotate",
    scope: "admin",
    summary:
      "Has a node that joined come for a new key; the one before holds on for a while. For operators.",
    input: { kind: "json", schema: rotateNodeRequestSchema },
    response: nodeSchema,
    idempotent: true,
    problems: distinct(keyProblems, bodyProblems, [
      "not_found",
      "registry_unavailable",
      "canceled",
    ]),
  },
  nodeRemove: {
    id: "nodeRemove",
    method: "DELETE",
    path: "/v1/nodes/{name}",
    scope: "admin",
    summary:
      "Sends a node that joined away: it gets nothing more, and ends when it is done. For operators.",
    input: { kind: "query", schema: oneNodeRequestSchema },
    response: nodeSchema,
    problems: distinct(keyProblems, ["invalid_request", "not_found", "registry_unavailable"]),
  },
} as const satisfies Record<string, Route>;
