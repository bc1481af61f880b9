// The challenges of /mcp (RFC 6750 section 3, RFC 9728 section 5.1): where to learn of the authorization server, which
// scopes to ask for, and what was wrong with the token that came.
import { oauthPaths } from "@blip2-edge/shared/contracts/oauth";
import type { Authority } from "./authority.ts";

export interface Challenge {
  /** Left out: no token came, so nothing is wrong with it. */
  readonly error?: "invalid_token" | "insufficient_scope";
  readonly scopes: readonly string[];
}

const descriptions = {
  invalid_token: "The access token or API key is not valid, or not any more",
  insufficient_scope: "What was called needs a scope that was not granted",
} as const;

export function challengeOf({ issuer }: Pick<Authority, "issuer">, challenge: Challenge): string {
  const { error, scopes } = challenge;
  const parts: Record<string, string> = {
    realm: "blip2-edge",
    ...(error === undefined ? {} : { error, error_description: descriptions[error] }),
    scope: scopes.join(" "),
    resource_metadata: `${issuer}${oauthPaths.resource}`,
  };
  const written = Object.entries(parts).map(([name, value]) => `${name}="${value}"`);
  return `Bearer ${written.join(", ")}`;
}
