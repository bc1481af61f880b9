// From a token of OAuth to a caller: the key behind it, with at most the scopes that were granted.
import { agentScopes, type AgentScope } from "@blip2-edge/shared/contracts/grants";
import { AppError } from "@blip2-edge/shared/problem";
import type { Caller } from "../auth/caller.ts";
import type { Authority } from "./authority.ts";
import type { FindStanding } from "./standing.ts";

export interface Agent {
  readonly grantId: string;
  readonly caller: Caller;
  /** What the token may do, and what the key behind it could be let do. */
  readonly granted: readonly AgentScope[];
  readonly grantable: readonly AgentScope[];
}

/** Throws unauthorized. */
export type FindAgent = (token: string, authority: Pick<Authority, "check">) => Promise<Agent>;

/** As the library writes them; no API key has this form. */
const tokenPattern = /^grt_[0-9a-f]{32}:[^\s:]+:[^\s:]+$/;
const maxTokenCharacters = 512;

/** The token in an Authorization header, if it has the form of ours. */
export function agentTokenOf(authorization: string | undefined): string | undefined {
  const token = /^bearer +(\S+)$/i.exec(authorization?.trim() ?? "")?.[1];
  if (token === undefined || token.length > maxTokenCharacters) return undefined;
  return tokenPattern.test(token) ? token : undefined;
}

const over = (internal: string): AppError =>
  new AppError("unauthorized", "The access token is not valid, or not any more.", { internal });

/** In the order in which they are shown everywhere. */
export const scopesAmong = (scopes: readonly string[]): AgentScope[] =>
  agentScopes.filter((scope) => scopes.includes(scope));

export function agentCallers(standing: FindStanding): FindAgent {
  return async (token, authority) => {
    const checked = await authority.check(token);
    if (checked === undefined) throw over("unknown, over, or for another resource");
    const found = await standing(checked.grantId, checked.keyId);
    if ("over" in found) throw over(found.over);
    const { grant, key } = found;
    const grantable = scopesAmong(key.scopes);
    const granted = grantable.filter(
      (scope) => grant.scopes.includes(scope) && checked.scopes.includes(scope),
    );
    const { grantId } = checked;
    return { grantId, granted, grantable, caller: { ...key, scopes: granted } };
  };
}
