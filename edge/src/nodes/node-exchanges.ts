// Exchanges with any node: each is asked in requests signed with the key that it announced itself with, which
// no other node has; those that the configuration names, with the first key.
import { createSigner, type Signer, type SigningKey } from "@blip2-edge/shared/wire/signature";
import { nodeExchange, type Exchange, type Fetch } from "./exchange.ts";

export interface NodeAddress {
  readonly url: string;
  /** Undefined: the first. */
  readonly keyId?: string | undefined;
}

export interface NodeExchangesOptions {
  readonly keys: readonly SigningKey[];
  readonly fetch: Fetch;
}

export function nodeExchanges({
  keys,
  fetch,
}: NodeExchangesOptions): (node: NodeAddress) => Exchange {
  const signers = new Map(keys.map((key) => [key.id, createSigner({ keys: [key] })]));
  const first = createSigner({ keys });
  const signerOf = (keyId: string | undefined): Signer =>
    (keyId === undefined ? undefined : signers.get(keyId)) ?? first;
  return ({ url, keyId }) =>
    nodeExchange({
      nodeUrl: url,
      fetch,
      sign: (at, { method, contentType, body }) =>
        signerOf(keyId).sign({
          method,
          url: at.href,
          ...(contentType === undefined ? {} : { contentType }),
          ...(body === undefined ? {} : { body }),
        }),
    });
}
