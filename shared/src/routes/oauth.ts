// Rows of the table of the API (../routes.ts) for OAuth at /mcp.
import { oauthAnswerSchema, oauthPaths } from "../contracts/oauth.ts";
import { pageSchema } from "../contracts/pages.ts";
import { distinct } from "./problems.ts";
import type { Route } from "./route.ts";

const problems = distinct(["not_found", "forbidden", "rate_limited"]);
const bodyProblems = distinct(problems, [
  "body_too_large",
  "request_timeout",
  "unsupported_media_type",
  "overloaded",
  "canceled",
]);

/** A protocol of its own: no method of the client, no operation of the document. Its failures are RFC 6749's. */
export const oauthRoutes = {
  oauthResource: {
    id: "oauthResource",
    method: "GET",
    path: oauthPaths.resource,
    scope: null,
    summary: "What /mcp is as a protected resource (RFC 9728).",
    input: { kind: "none" },
    response: oauthAnswerSchema,
    problems,
  },
  oauthServer: {
    id: "oauthServer",
    method: "GET",
    path: oauthPaths.server,
    scope: null,
    summary: "Where clients get tokens for it (RFC 8414).",
    input: { kind: "none" },
    response: oauthAnswerSchema,
    problems,
  },
  oauthAuthorize: {
    id: "oauthAuthorize",
    method: "GET",
    path: oauthPaths.authorize,
    scope: null,
    summary: "The page on which a person says what a client may do.",
    input: { kind: "none" },
    response: pageSchema,
    media: "text/html",
    problems,
  },
  oauthConsent: {
    id: "oauthConsent",
    method: "POST",
    path: oauthPaths.authorize,
    scope: null,
    summary: "What the person said there.",
    input: { kind: "none" },
    response: pageSchema,
    media: "text/html",
    problems: bodyProblems,
  },
  oauthToken: {
    id: "oauthToken",
    method: "POST",
    path: oauthPaths.token,
    scope: null,
    summary: "Tokens, and their end (RFC 6749, 7009).",
    input: { kind: "none" },
    response: oauthAnswerSchema,
    problems: bodyProblems,
  },
  oauthRegister: {
    id: "oauthRegister",
    method: "POST",
    path: oauthPaths.register,
    scope: null,
    summary: "Clients that register themselves (RFC 7591).",
    input: { kind: "none" },
    response: oauthAnswerSchema,
    problems: bodyProblems,
  },
} as const satisfies Record<string, Route>;
export type OAuthRouteId = keyof typeof oauthRoutes;
