// Asks a person whether a client may act for them, and hears the answer. First whose key it is: the one that Cloudflare
// Access's person acts with, or one that is pasted; then what the client may do. Every form is good once and only in
// the browser that it was sent to, which is looked at before anything that it says.
import type { AgentScope } from "@blip2-edge/shared/contracts/grants";
import { AppError } from "@blip2-edge/shared/problem";
import { z } from "zod";
import type { Authenticate } from "../auth/authenticate.ts";
import type { Sealer } from "../auth/seal.ts";
import { sourceHash } from "../html.ts";
import type { LogEvent } from "../log.ts";
import { scopesAmong } from "./agent-callers.ts";
import { Refused, type Answered, type AskedFor, type Authority, type Form } from "./authority.ts";
import type { OAuthRooms } from "./oauth-rooms.ts";
import { pageStyle } from "./page-style.ts";
import { consentPage, refusalPage, signInPage } from "./pages.ts";

export interface ConsentRooms {
  readonly oauth: OAuthRooms;
  readonly authority: Authority;
  readonly authenticate: Authenticate;
  readonly sealer: Sealer;
  readonly event: LogEvent;
}

/** Whose key it is, from one form to the next: sealed for that form alone. */
const whoSchema = z.object({
  keyId: z.string(),
  proof: z.enum(["key", "access"]),
  person: z.string().optional(),
});
type Who = z.output<typeof whoSchema>;
const purposeOf = (handle: string): string => `oauth consent ${handle}`;

/** GET: the first form. Throws forbidden, identity_unavailable. */
export function askPerson(rooms: ConsentRooms, request: Request): Promise<Response> {
  return orRefusal(async () => {
    const { oauth, authority } = rooms;
    const { asked, form } = await authority.read(request);
    const person = await oauth.findPerson?.(request.headers);
    const keyId = person === undefined ? undefined : oauth.keyOf(person);
    return keyId === undefined
      ? showSignIn(asked, await form(), person)
      : showConsent(rooms, asked, form, { keyId, proof: "access", person });
  });
}

/** POST: an answer. Throws forbidden, identity_unavailable. */
export function hearPerson(
  rooms: ConsentRooms,
  request: Request,
  said: URLSearchParams,
): Promise<Response> {
  return orRefusal(async () => {
    const { oauth, authority, sealer } = rooms;
    const person = await oauth.findPerson?.(request.headers);
    const handle = said.get("handle") ?? "";
    const answered = await authority.answer(request, handle);
    if (said.get("decision") !== "allow") return sendBack(answered, answered.deny());
    const sealed = said.get("who");
    if (sealed === null) return hearKey(rooms, answered, person, said.get("key") ?? "");
    const who = whoSchema.safeParse(
      JSON.parse((await sealer.open(purposeOf(handle), sealed)) ?? "null"),
    ).data;
    if (who === undefined || who.person !== person) {
      throw new Refused("The form does not belong to whom it was sent. Start again.");
    }
    return hearConsent(rooms, answered, who, said.getAll("scope"));
  });
}

async function hearKey(
  rooms: ConsentRooms,
  answered: Answered,
  person: string | undefined,
  key: string,
): Promise<Response> {
  const again = (fault: string) =>
    answered
      .again()
      .then((form) => withCookies(showSignIn(answered.asked, form, person, fault), answered));
  try {
    const caller = await rooms.authenticate(`Bearer ${key.trim()}`);
    if (caller.isOperator)
      return await again("An operator's key looks at no pictures. Take another.");
    if (scopesAmong(caller.scopes).every((scope) => !answered.asked.scopes.includes(scope))) {
      return await again("This key may do nothing of what the client asks for. Take another.");
    }
    const who: Who = { keyId: caller.keyId, proof: "key", person };
    return withCookies(await showConsent(rooms, answered.asked, answered.again, who), answered);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== "unauthorized") throw error;
    rooms.event["internal"] = error.internal;
    return again("This key is not known here, or is over.");
  }
}

async function hearConsent(
  rooms: ConsentRooms,
  answered: Answered,
  who: Who,
  ticked: readonly string[],
): Promise<Response> {
  const { oauth, event } = rooms;
  const { asked } = answered;
  const key = await keyFor(oauth, who);
  const scopes = scopesAmong(ticked).filter((scope) => isAsked(asked, key, scope));
  if (scopes.length === 0) {
    const fault = "Tick what the client may do, or refuse.";
    return withCookies(await showConsent(rooms, asked, answered.again, who, fault), answered);
  }
  const grantId = await oauth.grants.create({
    ...{ tenant: key.tenant, keyId: key.id, clientId: asked.clientId, scopes },
    ...{ clientName: asked.client.name.slice(0, 200), redirectHost: asked.client.redirectHost },
    ...{ proof: who.proof, person: who.person },
  });
  Object.assign(event, { tenant: key.tenant, key_id: key.id, grant_id: grantId });
  return sendBack(answered, await answered.allow(grantId, key.id, scopes));
}

const isAsked = (
  asked: AskedFor,
  key: { readonly scopes: readonly string[] },
  scope: AgentScope,
): boolean => asked.scopes.includes(scope) && key.scopes.includes(scope);

/** The key of that person, while it is good and theirs. Throws Refused. */
async function keyFor(oauth: OAuthRooms, { keyId, proof, person }: Who) {
  const isTheirs = proof === "key" || oauth.keyOf(person ?? "") === keyId;
  const key = isTheirs ? await oauth.usableKey(keyId) : undefined;
  if (key !== undefined) return key;
  throw new Refused("The key that you act with is over. Start again with another.");
}

const showSignIn = async (
  asked: AskedFor,
  { handle, headers }: Form,
  person: string | undefined,
  fault?: string,
): Promise<Response> =>
  pageResponse(signInPage({ client: asked.client, handle, person, fault }), {
    headers,
    sendsTo: asked.redirectUri,
    isFault: fault !== undefined,
  });

async function showConsent(
  { oauth, sealer }: ConsentRooms,
  asked: AskedFor,
  newForm: () => Promise<Form>,
  who: Who,
  fault?: string,
): Promise<Response> {
  const key = await keyFor(oauth, who);
  const scopes = asked.scopes.filter((scope) => key.scopes.includes(scope));
  if (scopes.length === 0) {
    throw new Refused("The key that you act with may do nothing of what the client asks for.");
  }
  const { handle, headers } = await newForm();
  const html = consentPage({
    ...{ client: asked.client, handle, person: who.person, fault, key, scopes },
    lacking: asked.scopes.filter((scope) => !scopes.includes(scope)),
    who: await sealer.seal(purposeOf(handle), JSON.stringify(who)),
  });
  return pageResponse(html, { headers, sendsTo: asked.redirectUri, isFault: fault !== undefined });
}

/** The browser goes on to the client, with the form's cookie taken away. */
const sendBack = ({ headers }: Answered, to: string): Response => {
  headers.set("location", to);
  return new Response(null, { status: 303, headers });
};

async function withCookies(page: Response | Promise<Response>, { headers }: Answered) {
  const response = await page;
  for (const cookie of headers.getSetCookie()) response.headers.append("set-cookie", cookie);
  return response;
}

/** A policy's name for where a form may lead, after the redirects too; addresses in brackets have none. */
function targetOf(url: string): string {
  const { origin, protocol, hostname } = new URL(url);
  return hostname.startsWith("[") ? protocol : origin;
}

interface PageOptions {
  readonly headers?: Headers;
  readonly sendsTo?: string;
  readonly isFault: boolean;
}

async function pageResponse(html: string, { headers, sendsTo, isFault }: PageOptions) {
  const own = new Headers(headers);
  own.set("content-type", "text/html; charset=utf-8");
  own.set("cache-control", "no-store");
  own.set("x-frame-options", "DENY");
  // With none at all a form's Origin would be null, which is refused.
  own.set("referrer-policy", "same-origin");
  own.set(
    "content-security-policy",
    [
      "default-src 'none'",
      `style-src '${await sourceHash(pageStyle)}'`,
      `form-action ${sendsTo === undefined ? "'none'" : `'self' ${targetOf(sendsTo)}`}`,
      ...["base-uri 'none'", "frame-ancestors 'none'"],
    ].join("; "),
  );
  return new Response(html, { status: isFault ? 400 : 200, headers: own });
}

/** What cannot be asked: the client hears why where that is safe, otherwise the person reads it. */
async function orRefusal(work: () => Promise<Response>): Promise<Response> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Refused) {
      if (error.redirectTo !== undefined) {
        const headers = { location: error.redirectTo, "cache-control": "no-store" };
        return new Response(null, { status: 303, headers });
      }
      return pageResponse(refusalPage("This cannot be asked", error.message), { isFault: true });
    }
    throw error;
  }
}
