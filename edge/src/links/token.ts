// What leaves the Worker in a URL and is to come back as it was: a token that tells nothing and cannot be made or
// changed outside. Deterministic authenticated encryption by the SIV construction (Rogaway and Shrimpton 2006,
// RFC 5297), with HMAC-SHA-256 as its PRF and AES-256-CTR: what is equal gives an equal token, so that the links of
// two answers are one link to a cache (docs/decisions/0141). For texts that need not be equal see auth/seal.ts.
import { equalTexts } from "@blip2-edge/shared/equal-texts";
import { toHex } from "@blip2-edge/shared/hex";

type Bytes = Uint8Array<ArrayBuffer>;

export interface TokenSealer {
  /** `purpose` says what it is; the same is needed to open it. Base64url. */
  seal(purpose: string, content: Bytes): Promise<string>;
  /** Undefined when it was made for another purpose, with another secret, or is not as it was. */
  open(purpose: string, token: string): Promise<Bytes | undefined>;
}

type DerivedKey = Awaited<ReturnType<typeof crypto.subtle.deriveKey>>;
interface Keys {
  readonly mac: DerivedKey;
  readonly cipher: DerivedKey;
}

/** Of the MAC, which is the counter's first block as well: 128 bits. */
const sivBytes = 16;
const maxTokenCharacters = 600;
const label = "blip2-edge/link/v1";
const encoder = new TextEncoder();

const toText = (bytes: Bytes): string =>
  btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
const toBytes = (text: string): Bytes =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) =>
    character.charCodeAt(0),
  );

/** The first secret seals; any of them opens, so that one can be replaced while its tokens live. */
export function tokenSealer(secrets: readonly [string, ...string[]]): TokenSealer {
  // Plain data once they are there: no request waits for what another has begun.
  const derived = new Map<string, Keys>();

  async function keysFor(secret: string, purpose: string): Promise<Keys> {
    const name = `${secret} ${purpose}`;
    const known = derived.get(name);
    if (known !== undefined) return known;
    const root = await crypto.subtle.importKey("raw", encoder.encode(secret), "HKDF", false, [
      "deriveKey",
    ]);
    const from = (use: string) => ({
      ...{ name: "HKDF", hash: "SHA-256", salt: encoder.encode(label) },
      info: encoder.encode(`${purpose}/${use}`),
    });
    const mac = { name: "HMAC", hash: "SHA-256", length: 256 };
    const cipher = { name: "AES-CTR", length: 256 };
    const keys = {
      mac: await crypto.subtle.deriveKey(from("mac"), root, mac, false, ["sign"]),
      cipher: await crypto.subtle.deriveKey(from("cipher"), root, cipher, false, [
        ...(["encrypt", "decrypt"] as const),
      ]),
    };
    derived.set(name, keys);
    return keys;
  }

  const sivOf = async ({ mac }: Keys, content: Bytes): Promise<Bytes> =>
    new Uint8Array(await crypto.subtle.sign("HMAC", mac, content)).slice(0, sivBytes);
  const counterOf = (siv: Bytes) => ({ name: "AES-CTR", counter: siv, length: 64 });

  async function openWith(secret: string, purpose: string, sealed: Bytes) {
    const keys = await keysFor(secret, purpose);
    const siv = sealed.slice(0, sivBytes);
    const body = sealed.slice(sivBytes);
    const content = new Uint8Array(await crypto.subtle.decrypt(counterOf(siv), keys.cipher, body));
    const own = await sivOf(keys, content);
    return equalTexts(toHex(own), toHex(siv)) ? content : undefined;
  }

  return {
    async seal(purpose, content) {
      const keys = await keysFor(secrets[0], purpose);
      const siv = await sivOf(keys, content);
      const body = await crypto.subtle.encrypt(counterOf(siv), keys.cipher, content);
      const sealed = new Uint8Array(sivBytes + content.length);
      sealed.set(siv);
      sealed.set(new Uint8Array(body), sivBytes);
      return toText(sealed);
    },
    async open(purpose, token) {
      if (token.length > maxTokenCharacters || !/^[\w-]+$/.test(token)) return undefined;
      // A length that no bytes have.
      if (token.length % 4 === 1) return undefined;
      const sealed = toBytes(token);
      // Of the ways to write the same bytes one is ours.
      if (sealed.length <= sivBytes || toText(sealed) !== token) return undefined;
      for (const secret of secrets) {
        const content = await openWith(secret, purpose, sealed);
        if (content !== undefined) return content;
      }
      return undefined;
    },
  };
}
