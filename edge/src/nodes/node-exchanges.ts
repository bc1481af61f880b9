// Exchanges with any node: each is asked in requests signed with the key that it announced itself with, which
// no other node has; those that the configuration names, with the first key of the settings.
import { createSigner, type Signer, type SigningKey } from "@blip2-edge/shared/wire/signature";
import { nodeExchange, type Exchange, type Fetch } from "./exchange.ts";
import type { JoinedKeys } from "./joined-keys.ts";

export interface NodeAddress {
  readonly url: string;
  /** Undefined: the first. */
  readonly keyId?: string | undefined;
}

export interface NodeExchangesOptions {
  readonly keys: readonly SigningKey[];
  /** Keys of nodes that joined; undefined where none may. */
  readonly joined?: Pick<JoinedKeys, "find"> | undefined;
  readonly fetch: Fetch;
}

/** There are not so many nodes; should there be, signers are made anew. */
const maxSigners = 1000;

export function nodeExchanges({
  keys,
  joined,
  fetch,
}: NodeExchangesOptions): (node: NodeAddress) => Exchange {
  const signers = new Map(keys.map((key) => [key.id, createSigner({ keys: [key] })]));
  const ofJoined = new Map<string, Signer>();
  const first = keys.length === 0 ? undefined : createSigner({ keys });
  async function signerOf(keyId: string | undefined): Promise<Signer> {
    const known = keyId === undefined ? undefined : (signers.get(keyId) ?? ofJoined.get(keyId));
    if (known !== undefined) return known;
    const key = keyId === undefined ? undefined : await joined?.find(keyId);
    if (key === undefined) {
      if (first === undefined) throw new Error(`no key signs for a node with the key ${keyId}`);
      return first;
    }
    if (ofJoined.size >= maxSigners) ofJoined.clear();
    const signer = createSigner({ keys: [key] });
    ofJoined.set(key.id, signer);
    return signer;
  }
  return ({ url, keyId }) =>
    nodeExchange({
      nodeUrl: url,
      fetch,
      sign: async (at, { method, contentType, body }) =>
        (await signerOf(keyId)).sign({
          method,
          url: at.href,
          ...(contentType === undefined ? {} : { contentType }),
          ...(body === undefined ? {} : { body }),
        }),
    });
}
