// From the Authorization header to a caller. Outside there is one vague refusal; the log learns which.
// An unknown id costs the same work as a wrong secret: a hash and its comparisons.
import { equalTexts } from "@blip2-edge/shared/equal-texts";
import { AppError } from "@blip2-edge/shared/problem";
import { hashApiKey, keyIdOf, maxKeyCharacters, parseApiKey } from "./api-key.ts";
import type { Caller } from "./caller.ts";
import { callerOf, type KeyRecord } from "./key-record.ts";
import type { KeyStore } from "./key-store.ts";
import { operatorOf, type OperatorKeys } from "./operator.ts";

export interface AuthenticatorOptions {
  readonly keys: Pick<KeyStore, "find" | "remembers">;
  readonly operators?: OperatorKeys;
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

type Secret = "current" | "previous" | "wrong";

/** Both comparisons are made always, so that time does not tell which secret was nearly right. */
function secretOf(record: KeyRecord | undefined, hash: string): Secret {
  const current = equalTexts(hash, record?.secret_hash ?? nobodysHash);
  const previous = equalTexts(hash, record?.previous_hash ?? nobodysHash);
  if (current) return "current";
  return previous ? "previous" : "wrong";
}

/** Throws unauthorized. */
export function authenticator(options: AuthenticatorOptions): Authenticate {
  const { keys, operators = [], acceptForeignKeys, now = Date.now } = options;
  return async (authorization) => {
    if (authorization === undefined) throw wrongKey("no Authorization header");
    const key = /^bearer +(\S+)$/i.exec(authorization.trim())?.[1];
    if (key === undefined) throw wrongKey("not a Bearer token");
    if (key.length > maxKeyCharacters) throw wrongKey("too long");
    const operator = await operatorOf(operators, key);
    if (operator !== undefined) return operator;
    const wellFormed = parseApiKey(key);
    if (wellFormed === undefined && !acceptForeignKeys) throw wrongKey("form or checksum");

    const { id } = await keyIdOf(key);
    const hash = await hashApiKey(key);
    const fromMemory = keys.remembers(id);
    let record = await keys.find(id);
    let secret = secretOf(record, hash);
    if (secret === "wrong" && fromMemory) {
      // The key may have been rotated since it was read.
      record = await keys.find(id, true);
      secret = secretOf(record, hash);
    }
    if (record === undefined) throw wrongKey("unknown id");
    if (secret === "wrong") throw wrongKey(`wrong secret for ${id}`);
    if (record.revoked_at !== null) throw wrongKey(`revoked: ${id}`);
    if (record.expires_at !== null && record.expires_at <= now()) throw wrongKey(`expired: ${id}`);
    if (secret === "previous" && (record.previous_until ?? 0) <= now()) {
      throw wrongKey(`rotated: ${id}, and the time of the secret before is over`);
    }
    return callerOf(record);
  };
}
