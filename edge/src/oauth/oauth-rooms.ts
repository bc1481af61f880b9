// What OAuth at /mcp is made of in one isolate, where the setting OAUTH has it.
import { checkUrl, type UrlPolicy } from "../images/url-guard.ts";
import type { Fetch } from "../images/fetch.ts";
import type { Bindings } from "../bindings.ts";
import type { Settings } from "../config.ts";
import { keyCaller } from "../auth/key-caller.ts";
import type { KeyRecord } from "../auth/key-record.ts";
import type { KeyStore } from "../auth/key-store.ts";
import { requestCounter, type CountRequest } from "../usage/rate.ts";
import { accessPersons, type FindPerson } from "./access-person.ts";
import { agentCallers, type FindAgent } from "./agent-callers.ts";
import type { Authority, AuthorityOptions, MakeAuthority } from "./authority.ts";
import type { GrantBook } from "./grant-book.ts";
import { keyOfPerson } from "./keys-of-persons.ts";
import { grantStanding } from "./standing.ts";

export interface OAuthRooms {
  readonly grants: GrantBook;
  /** One for each request, since what it notes goes to that request's log. */
  authorityAt(origin: string, note: AuthorityOptions["note"]): Authority | undefined;
  readonly findAgent: FindAgent;
  /** Undefined where Cloudflare Access does not stand before the Worker. */
  readonly findPerson: FindPerson | undefined;
  /** The key that a person of Access acts with without showing it. */
  keyOf(person: string): string | undefined;
  /** A key that is neither revoked nor over, read anew. */
  usableKey(id: string): Promise<KeyRecord | undefined>;
  /** Strangers, by their address. */
  readonly countStranger: CountRequest;
}

export interface OAuthRoomsOptions {
  readonly env: Pick<Bindings, "OAUTH_KV">;
  readonly settings: Readonly<Settings>;
  readonly keys: Pick<KeyStore, "find">;
  readonly grants: GrantBook;
  readonly policy: UrlPolicy;
  readonly internet: Fetch;
  readonly makeAuthority: MakeAuthority | undefined;
  readonly now?: () => number;
}

const accessTokenS = 3_600;
/** A grant from its last token on, and a client that registered itself. */
export const grantS = 30 * 86_400;

/** Undefined where OAUTH is off. Throws when it is on and what it needs is missing. */
export function oauthRooms(options: OAuthRoomsOptions): OAuthRooms | undefined {
  const { env, settings, keys, grants, makeAuthority, now = Date.now } = options;
  if (!settings.OAUTH) return undefined;
  const { OAUTH_KV: kv } = env;
  if (kv === undefined || makeAuthority === undefined) {
    throw new Error("The setting OAUTH needs the KV namespace OAUTH_KV to be bound.");
  }
  const { ACCESS_TEAM: team, ACCESS_AUDIENCE: audience, ACCESS_KEYS: keysOfPersons } = settings;
  const keyOf = (person: string): string | undefined => keyOfPerson(keysOfPersons, person);
  const fresh = { find: (id: string) => keys.find(id, true) };
  const callerOfKey = keyCaller(fresh, now);
  const standing = grantStanding({
    grants,
    callerOfKey,
    isKeyOf: (person, keyId) => keyOf(person) === keyId,
  });
  // A metadata document is at home on the public internet, whatever pictures may be fetched from.
  const policy = { ...options.policy, allowPrivate: [] };

  return {
    grants,
    authorityAt: (origin, note) =>
      makeAuthority({
        ...{ kv, origin, note, accessTokenS, grantS, clientS: grantS },
        registration: settings.OAUTH_REGISTRATION,
        mayFetch: (url) => checkUrl(url, policy).ok,
        async renew(grantId, keyId) {
          const found = await standing(grantId, keyId);
          if ("over" in found) {
            note(found.over);
            return false;
          }
          await grants.prolong(grantId);
          return true;
        },
      }),
    findAgent: agentCallers(standing),
    findPerson:
      team === undefined || audience === undefined
        ? undefined
        : accessPersons({ team, audience, fetch: options.internet }),
    keyOf,
    async usableKey(id) {
      const caller = await callerOfKey(id);
      return caller === undefined ? undefined : keys.find(id);
    },
    countStranger: requestCounter({ now }),
  };
}
