// Rows of the table of the API (../routes.ts): for everyone, without a key.
import { healthSchema } from "../contracts/models.ts";
import { openApiSchema, pageSchema } from "../contracts/pages.ts";
import type { Route } from "./route.ts";

export const openRoutes = {
  health: {
    id: "health",
    method: "GET",
    path: "/healthz",
    scope: null,
    summary: "Answers while the Worker runs.",
    input: { kind: "none" },
    response: healthSchema,
    problems: [],
  },
  openapi: {
    id: "openapi",
    method: "GET",
    path: "/openapi.json",
    scope: null,
    summary: "This API as an OpenAPI 3.1 document.",
    input: { kind: "none" },
    response: openApiSchema,
    cached: true,
    problems: [],
  },
  reference: {
    id: "reference",
    method: "GET",
    path: "/docs",
    scope: null,
    summary: "The same as a page to read.",
    input: { kind: "none" },
    response: pageSchema,
    cached: true,
    media: "text/html",
    problems: [],
  },
  playground: {
    id: "playground",
    method: "GET",
    path: "/",
    scope: null,
    summary: "A page to try it all with.",
    input: { kind: "none" },
    response: pageSchema,
    cached: true,
    media: "text/html",
    problems: [],
  },
} as const satisfies Record<string, Route>;
