// Rows of the table of the API (../routes.ts): for everyone, without a key.
import { healthSchema } from "../contracts/models.ts";
import { picturePath } from "../contracts/images.ts";
import { openApiSchema, pageSchema, pictureSchema } from "../contracts/pages.ts";
import { z } from "zod";
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
  pictureLink: {
    id: "pictureLink",
    method: "GET",
    path: picturePath,
    scope: null,
    summary: "A picture's file, to whoever has its link.",
    input: { kind: "query", schema: z.strictObject({ token: z.string() }) },
    response: pictureSchema,
    cached: true,
    media: "image/*",
    problems: ["link_invalid", "not_found"],
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
  reviewPage: {
    id: "reviewPage",
    method: "GET",
    path: "/review",
    scope: null,
    summary: "The same page, where suggestions are reviewed.",
    input: { kind: "none" },
    response: pageSchema,
    cached: true,
    media: "text/html",
    problems: [],
  },
} as const satisfies Record<string, Route>;
