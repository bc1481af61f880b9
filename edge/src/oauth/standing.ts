// Whether a grant still stands: its row, the key behind it, and, where Cloudflare Access vouched for the person, that
// this person still acts with that key. Read anew each time, so that each can end at once.
import type { Caller } from "../auth/caller.ts";
import type { KeyCaller } from "../auth/key-caller.ts";
import type { GrantBook, GrantRecord } from "./grant-book.ts";

export interface StandingOptions {
  readonly grants: Pick<GrantBook, "live">;
  /** Reads the key anew. */
  readonly callerOfKey: KeyCaller;
  readonly isKeyOf: (person: string, keyId: string) => boolean;
}

export type Standing =
  | { readonly grant: GrantRecord; readonly key: Caller }
  /** For the log. */
  | { readonly over: string };

export type FindStanding = (grantId: string, keyId: string) => Promise<Standing>;

export function grantStanding({ grants, callerOfKey, isKeyOf }: StandingOptions): FindStanding {
  return async (grantId, keyId) => {
    const [grant, key] = await Promise.all([grants.live(grantId), callerOfKey(keyId)]);
    if (grant === undefined || grant.key_id !== keyId) return { over: `${grantId} is over` };
    if (key === undefined) return { over: `the key of ${grantId} is over` };
    if (grant.proof === "access" && !isKeyOf(grant.person ?? "", keyId)) {
      return { over: `the person of ${grantId} does not act with that key any more` };
    }
    return { grant, key };
  };
}
