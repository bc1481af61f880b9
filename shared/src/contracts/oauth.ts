// Where the Worker speaks OAuth 2.1 for /mcp. What is said there RFC 6749, 7591, 8414 and 9728 say; this is its
// envelope.
import { z } from "zod";
import { mcpPath } from "./mcp.ts";

export const oauthPaths = {
  /** RFC 9728 3.1: the well-known part comes before the resource's own path. */
  resource: `/.well-known/oauth-protected-resource${mcpPath}`,
  server: "/.well-known/oauth-authorization-server",
  authorize: "/oauth/authorize",
  token: "/oauth/token",
  register: "/oauth/register",
} as const;

export const oauthAnswerSchema = z.looseObject({});
