// The authorization server of @cloudflare/workers-oauth-provider, in our words. It keeps clients, codes and hashes of
// tokens in KV; PKCE is S256 alone, a code works once, refresh tokens rotate. A grant of its is named by ours
// (grant-book.ts), which is the truth.
import { agentScopes, grantIdPattern } from "@blip2-edge/shared/contracts/grants";
import { mcpPath } from "@blip2-edge/shared/contracts/mcp";
import { oauthPaths } from "@blip2-edge/shared/contracts/oauth";
import {
  AuthorizationError,
  authorizationErrorRedirect,
  CimdFetchError,
  OAuthAuthorizationServer,
  OAuthError,
  type AuthRequest,
} from "@cloudflare/workers-oauth-provider";
import { scopesAmong } from "./agent-callers.ts";
import type { Authority, AuthorityOptions, AskedFor, MakeAuthority } from "./authority.ts";
import { Refused } from "./authority.ts";
import { faultOfClient } from "./client-limits.ts";

/** What is sealed into a grant, readable with its tokens alone. */
interface Props {
  readonly keyId: string;
}

const isHttps = (url: string): boolean => /^https:\/\//i.test(url);

export const cloudflareAuthority: MakeAuthority = (options) => {
  try {
    return authorityOn(options);
  } catch (error) {
    // The library's words for an issuer that is neither https nor this machine.
    if (error instanceof TypeError) return undefined;
    throw error;
  }
};

function authorityOn(options: AuthorityOptions): Authority {
  const { kv, origin, registration, mayFetch, renew, note } = options;
  const env = { OAUTH_KV: kv };
  const resource = `${origin}${mcpPath}`;
  const server = new OAuthAuthorizationServer<typeof env>({
    issuer: origin,
    resources: [resource],
    authorizeEndpoint: oauthPaths.authorize,
    tokenEndpoint: oauthPaths.token,
    ...(registration ? { clientRegistrationEndpoint: oauthPaths.register } : {}),
    scopesSupported: [...agentScopes],
    clientIdMetadataDocumentEnabled: true,
    accessTokenTTL: options.accessTokenS,
    refreshTokenTTL: options.grantS,
    refreshTokenIdleTTL: options.grantS,
    clientRegistrationTTL: options.clientS,
    clientRegistrationCallback: ({ clientMetadata }) => {
      const fault = faultOfClient(clientMetadata);
      return fault === undefined ? undefined : { description: fault };
    },
    tokenExchangeCallback: async ({ userId, props }) => {
      if (await renew(userId, (props as Props).keyId)) return;
      throw new OAuthError("invalid_grant", {
        description: "The grant, or the key that it belongs to, is over. Authorize again.",
      });
    },
    onError: ({ code, internal }) => note(`${code}: ${internal.category}/${internal.reason}`),
  });
  const oauth = server.getOAuthApi(env);

  const admits = (clientId: string): boolean => !isHttps(clientId) || mayFetch(clientId);
  const described = async (request: AuthRequest): Promise<AskedFor> => {
    const facts = await oauth.describeConsent(request);
    return {
      clientId: request.clientId,
      scopes: request.scope.length === 0 ? agentScopes : scopesAmong(request.scope),
      redirectUri: request.redirectUri,
      client: {
        name: facts.clientName,
        domain: facts.clientDomain,
        redirectHost: facts.redirectHost,
        isLocal: facts.redirectIsLoopback,
      },
    };
  };

  return {
    issuer: origin,
    resource,
    admits,
    serve: async (request, context) => server.fetch(request, env, context),

    async check(token) {
      const valid = await server.validateToken<Props>(resource, token, env);
      if (valid === null || valid.userId === undefined) return undefined;
      return { grantId: valid.userId, keyId: valid.props.keyId, scopes: valid.scope ?? [] };
    },

    read: (request) =>
      refusing(async () => {
        const clientId = new URL(request.url).searchParams.get("client_id") ?? "";
        if (!admits(clientId)) {
          throw new Refused("The address of this client's description may not be fetched.");
        }
        const parsed = await oauth.parseAuthRequest(request);
        const back = (code: "invalid_request" | "invalid_scope", description: string) =>
          new Refused(description, authorizationErrorRedirect(parsed, code, description));
        // For each client alike: one with a secret may not leave it out either.
        if (parsed.codeChallenge === undefined) {
          throw back("invalid_request", "Send code_challenge with code_challenge_method=S256.");
        }
        const asked = await described(parsed);
        if (asked.scopes.length === 0) {
          throw back("invalid_scope", `There are these scopes: ${agentScopes.join(" ")}.`);
        }
        return { asked, form: () => oauth.beginConsent(parsed) };
      }),

    answer: (request, handle) =>
      refusing(async () => {
        const approved = await oauth.approveConsent(request, handle);
        return {
          asked: await described(approved.request),
          headers: approved.headers,
          again: () => oauth.beginConsent(approved.request),
          deny: () =>
            authorizationErrorRedirect(approved.request, "access_denied", "The person refused."),
          async allow(grantId, keyId, scopes) {
            const props: Props = { keyId };
            const { redirectTo } = await oauth.completeAuthorization({
              request: approved.request,
              // One person of the library's to each grant: what it keeps of one is found by our name.
              userId: grantId,
              metadata: {},
              scope: [...scopes],
              props,
              revokeExistingGrants: false,
            });
            return redirectTo;
          },
        };
      }),

    async holds(grantId) {
      const { items } = await oauth.listUserGrants(grantId, { limit: 1 });
      return items.length > 0;
    },

    async drop(grantId) {
      if (!grantIdPattern.test(grantId)) return;
      const { items } = await oauth.listUserGrants(grantId);
      for (const { id } of items) await oauth.revokeGrant(id, grantId);
    },
  };
}

/** The library's refusals as ours; whatever else it throws is a fault. */
async function refusing<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof AuthorizationError) throw new Refused(error.description, error.redirectTo);
    if (error instanceof CimdFetchError) {
      throw new Refused("The client's description of itself cannot be read, or is not valid.");
    }
    throw error;
  }
}
