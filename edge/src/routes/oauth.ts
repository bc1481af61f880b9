// OAuth for /mcp: HTTP in, the rooms of edge/src/oauth, HTTP out. Strangers ask here, so bodies are short and each
// address may come only so often. Where the setting OAUTH is off there is nothing at these paths.
import { agentScopes, grantIdPattern } from "@blip2-edge/shared/contracts/grants";
import { AppError } from "@blip2-edge/shared/problem";
import type { OAuthRouteId } from "@blip2-edge/shared/routes/oauth";
import type { ExecutionContext } from "@cloudflare/workers-types";
import type { Context, Handler } from "hono";
import type { Env } from "../env.ts";
import type { Isolate } from "../isolate.ts";
import { authorityOf } from "../middleware/authority.ts";
import type { Authority } from "../oauth/authority.ts";
import { askPerson, hearPerson, type ConsentRooms } from "../oauth/consent.ts";
import type { OAuthRooms } from "../oauth/oauth-rooms.ts";
import { readBytes } from "./read-body.ts";

const maxBodyBytes = 16_384;
/** A minute and address; registering writes something that stays. */
const requestsPerMinute = 120;
const registrationsPerMinute = 20;

type OAuthIsolate = Pick<Isolate, "oauth" | "authenticate" | "sealer" | "settings">;

export function oauthRouteHandlers(isolate: OAuthIsolate): Record<OAuthRouteId, Handler<Env>> {
  const { oauth, authenticate, sealer, settings } = isolate;

  const served =
    (
      answer: (c: Context<Env>, authority: Authority, oauth: OAuthRooms) => Promise<Response>,
      perMinute = requestsPerMinute,
    ): Handler<Env> =>
    async (c) => {
      const authority = authorityOf(oauth, c);
      if (oauth === undefined || authority === undefined) {
        throw new AppError("not_found", "There is no OAuth here (setting OAUTH).");
      }
      const address = c.req.header("cf-connecting-ip") ?? "";
      const { allowed, resetS } = oauth.countStranger(`${perMinute} ${address}`, perMinute);
      if (!allowed) {
        throw new AppError("rate_limited", "Too many requests of this address. Try again later.", {
          retryAfterS: resetS,
        });
      }
      return answer(c, authority, oauth);
    };
  const bodyOf = (c: Context<Env>) =>
    readBytes(
      c.req.raw,
      { maxBytes: maxBodyBytes, timeoutMs: settings.BODY_TIMEOUT_MS },
      c.get("context"),
    );
  const roomsFor = (c: Context<Env>, authority: Authority, rooms: OAuthRooms): ConsentRooms => ({
    ...{ oauth: rooms, authority, authenticate, sealer, event: c.get("context").event },
  });

  return {
    oauthResource: served(async (c, { issuer, resource }) =>
      c.json(
        {
          resource,
          authorization_servers: [issuer],
          scopes_supported: agentScopes,
          bearer_methods_supported: ["header"],
          resource_name: "blip2-edge",
          resource_documentation: `${issuer}/docs`,
        },
        200,
        { "access-control-allow-origin": "*", "cache-control": "no-store" },
      ),
    ),
    oauthServer: served(async (c, authority) => authority.serve(c.req.raw, contextOf(c))),
    oauthAuthorize: served(async (c, authority, rooms) =>
      askPerson(roomsFor(c, authority, rooms), c.req.raw),
    ),
    oauthConsent: served(async (c, authority, rooms) => {
      const type = (c.req.header("content-type") ?? "").split(";")[0]?.trim().toLowerCase();
      if (type !== "application/x-www-form-urlencoded") {
        throw new AppError("unsupported_media_type", "Send the page's form as a browser does.");
      }
      const said = new URLSearchParams(new TextDecoder().decode(await bodyOf(c)));
      return hearPerson(roomsFor(c, authority, rooms), c.req.raw, said);
    }),
    oauthToken: served(async (c, authority, rooms) => {
      const body = await bodyOf(c);
      const form = new URLSearchParams(new TextDecoder().decode(body));
      if (!clientIdsOf(form, c.req.header("authorization")).every(authority.admits)) {
        const error = { error: "invalid_client", error_description: "Client not found" };
        return c.json(error, 401, { "cache-control": "no-store" });
      }
      const response = await authority.serve(withBody(c.req.raw, body), contextOf(c));
      const { oauth_fault: fault } = c.get("context").event;
      // The library ends a grant whose refresh token is given back (RFC 7009), or whose code comes twice.
      const isReplay = typeof fault === "string" && fault.endsWith("/code_replayed");
      const said = (isReplay ? form.get("code") : response.ok ? form.get("token") : null) ?? "";
      const [grantId = ""] = said.split(":");
      if (grantIdPattern.test(grantId) && !(await authority.holds(grantId))) {
        await rooms.grants.end(grantId);
      }
      return response;
    }),
    oauthRegister: served(
      async (c, authority) => authority.serve(withBody(c.req.raw, await bodyOf(c)), contextOf(c)),
      registrationsPerMinute,
    ),
  };
}

/** Hono's is the platform's, by another name. */
const contextOf = (c: Context<Env>) => c.executionCtx as unknown as ExecutionContext;
const withBody = ({ url, method, headers }: Request, body: Uint8Array<ArrayBuffer>): Request =>
  new Request(url, { method, headers, body });

/** In the form, and as the name of RFC 7617: the library looks at both. */
function clientIdsOf(form: URLSearchParams, authorization = ""): string[] {
  const ids = form.getAll("client_id");
  const [, credentials] = /^basic +(\S+)$/i.exec(authorization.trim()) ?? [];
  if (credentials === undefined) return ids;
  try {
    const [name = ""] = atob(credentials).split(":");
    return [...ids, decodeURIComponent(name)];
  } catch {
    return ids;
  }
}
