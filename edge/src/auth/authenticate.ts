// From the Authorization header to a caller. Outside there is one vague refusal; the log learns which.
// An unknown id costs the same work as a wrong secret: a hash and a comparison.
import { equalTexts } from "@blip2-edge/shared/equal-texts";
import { AppError } from "@blip2-edge/shared/problem";
import { hashApiKey, keyIdOf, maxKeyCharacters, parseApiKey } from "./api-key.ts";
import type { FindKey } from "./key-store.ts";

export interface Caller {
  readonly keyId: string;
  readonly tenant: string;
  /** Hosts to which this key's picture URLs are limited (images/fetch-allow.ts); none: no limit. */
  readonly fetchAllow: readonly string[];
}

export interface AuthenticatorOptions {
  readonly findKey: FindKey;
  readonly acceptForeignKeys: boolean;
  readonly now?: () => number;
}

export type Authenticate = (authorization: string | undefined) => Promise<Caller>;

/** Compared with when there is no record; no key hashes to it. */
const nobodysHash = "0".repeat(64);

const wrongKey = (internal: string): AppError =>
  new AppError("unauthorized", "Send a valid API key as `Authorization: Bearer KEY`.", {
    internal,
  });

/** Throws unauthorized. */
export function authenticator(options: AuthenticatorOptions): Authenticate {
  const { findKey, acceptForeignKeys, now = Date.now } = options;
  return async (authorization) => {
    if (authorization === undefined) throw wrongKey("no Authorization header");
    const key = /^bearer +(\S+)$/i.exec(authorization.trim())?.[1];
    if (key === undefined) throw wrongKey("not a Bearer token");
    if (key.length > maxKeyCharacters) throw wrongKey("too long");
    const wellFormed = parseApiKey(key);
    if (wellFormed === undefined && !acceptForeignKeys) throw wrongKey("form or checksum");

    const { id } = await keyIdOf(key);
    const [record, hash] = [await findKey(id), await hashApiKey(key)];
    const matches = equalTexts(hash, record?.secret_hash ?? nobodysHash);
    if (record === undefined) throw wrongKey("unknown id");
    if (!matches) throw wrongKey(`wrong secret for ${id}`);
    if (record.revoked_at !== null) throw wrongKey(`revoked: ${id}`);
    if (record.expires_at !== null && record.expires_at <= now()) throw wrongKey(`expired: ${id}`);
    return { keyId: record.id, tenant: record.tenant, fetchAllow: [] };
  };
}
