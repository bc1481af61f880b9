// Keys of nodes that joined, and tokens with which they do, are made of the Worker's secret and their ids (HKDF-SHA-256):
// every isolate knows every key without asking anybody, and nothing that is stored tells one. Whether a key still holds
// is another question, which the registry answers (membership.ts).
import { equalTexts } from "@blip2-edge/shared/equal-texts";
import { toHex } from "@blip2-edge/shared/hex";
import { joinTokenPattern } from "@blip2-edge/shared/wire/join";
import type { SigningKey } from "@blip2-edge/shared/wire/signature";

export interface JoinedKeys {
  /** The key with this id, whether or not it was ever given; undefined for what is no id of one. */
  find(id: string): Promise<SigningKey | undefined>;
  secretOf(keyId: string): Promise<string>;
  tokenOf(tokenId: string): Promise<string>;
  /** The id of a token that this Worker made; undefined for any other text. */
  tokenId(token: string): Promise<string | undefined>;
}

export type RandomBytes = (count: number) => Uint8Array<ArrayBuffer>;
const cryptoRandom: RandomBytes = (count) => crypto.getRandomValues(new Uint8Array(count));

/** Never the same twice, so that a key that was ended stays so, whatever its node's name is used for later. */
export const newKeySuffix = (random = cryptoRandom): string => toHex(random(6));
export const keyIdOf = (name: string, suffix: string): string => `${name}.${suffix}`;
export const newTokenId = (random = cryptoRandom): string => toHex(random(8));

const keyIdPattern = /^[a-z0-9][a-z0-9-]{0,40}\.[0-9a-f]{12}$/;
const label = "blip2-edge/nodes/v1";
const keyBytes = 32;
const tokenBytes = 20;
const encoder = new TextEncoder();

export function joinedKeys(secret: string): JoinedKeys {
  async function derive(purpose: string, bytes: number): Promise<string> {
    const root = await crypto.subtle.importKey("raw", encoder.encode(secret), "HKDF", false, [
      "deriveBits",
    ]);
    const how = {
      name: "HKDF",
      hash: "SHA-256",
      salt: encoder.encode(label),
      info: encoder.encode(purpose),
    };
    return toHex(new Uint8Array(await crypto.subtle.deriveBits(how, root, bytes * 8)));
  }
  const secretOf = (keyId: string): Promise<string> => derive(`key ${keyId}`, keyBytes);
  const tokenOf = async (id: string): Promise<string> =>
    `b2e_join_${id}${await derive(`token ${id}`, tokenBytes)}`;
  return {
    secretOf,
    tokenOf,
    async find(id) {
      if (!keyIdPattern.test(id)) return undefined;
      return { id, secret: encoder.encode(await secretOf(id)) };
    },
    async tokenId(token) {
      const [, id] = joinTokenPattern.exec(token) ?? [];
      return id !== undefined && equalTexts(await tokenOf(id), token) ? id : undefined;
    },
  };
}
