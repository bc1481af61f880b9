// Signatures of the requests between edge and node: RFC 9421 with hmac-sha256 over method, path,
// query, content digest, content type and protocol version. Nothing here reads a request's meaning.
// Invariant: whatever is wrong, the other side learns only that the signature is not valid.
import { createSignature, verifySignature } from "http-message-sig";
import { toHex } from "../hex.ts";
import { AppError } from "../problem.ts";
import { contentDigest, digestHeader, digestMatches } from "./digest.ts";
import { createNonceMemory } from "./nonces.ts";
import { protocolHeader, protocolVersion } from "./protocol.ts";

export interface SigningKey {
  /** Public; travels as `keyid`. */
  readonly id: string;
  /** At least 32 bytes. */
  readonly secret: Uint8Array;
}

/** Keys that stay, or what gives those of now: a file's, which are changed while they are in use. */
export type SigningKeys = readonly SigningKey[] | (() => readonly SigningKey[]);

export interface RequestToSign {
  readonly method: string;
  /** Absolute; only path and query are signed (docs/decisions/0031). */
  readonly url: string;
  /** Absent when the body is empty. */
  readonly contentType?: string;
  readonly body?: Uint8Array;
}

export interface SignerOptions {
  /** The first key signs. */
  readonly keys: SigningKeys;
  readonly now?: () => number;
  readonly nonce?: () => string;
  /** How long a signature stays valid; not more than the verifier's window. */
  readonly lifetimeS?: number;
  /** What the request is for; a signature for one purpose is none for another. Default: a request to a node. */
  readonly tag?: string;
}

export interface Signer {
  /** The headers to send: those given (content-type) and the protocol's, digest and signature. */
  readonly sign: (request: RequestToSign) => Promise<Record<string, string>>;
}

export interface RequestToVerify {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
}

export interface VerifierOptions {
  /** Every key is accepted. */
  readonly keys: SigningKeys;
  /** Looks for a key that is none of them. */
  readonly find?: (id: string) => Promise<SigningKey | undefined>;
  readonly now?: () => number;
  /** The longest lifetime of a signature that is accepted, in seconds. */
  readonly windowS?: number;
  /** Nonces held at most; at capacity further requests are refused as `overloaded`. */
  readonly nonceCapacity?: number;
  readonly tag?: string;
}

export interface Verified {
  readonly body: Uint8Array;
  /** The key that it was signed with. */
  readonly keyId: string;
}

export interface Verifier {
  /**
   * Verifies the head, then calls `readBody` and verifies its bytes, which it returns: an unsigned
   * request's body is never read. Throws signature_invalid (the reason only in `internal`),
   * overloaded when no more nonces can be held, and whatever `readBody` throws.
   */
  readonly verify: (
    request: RequestToVerify,
    readBody: () => Promise<Uint8Array> | Uint8Array,
  ) => Promise<Uint8Array>;
  /** The same, and tells who has signed. */
  readonly identify: (
    request: RequestToVerify,
    readBody: () => Promise<Uint8Array> | Uint8Array,
  ) => Promise<Verified>;
}

const algorithm = "hmac-sha256";
const label = "blip2";
const defaultTag = "blip2-edge/node";
const defaultLifetimeS = 60;
const clockSkewS = 5;
const minSecretBytes = 32;
const maxHeaderChars = 2048;
const noncePattern = /^[A-Za-z0-9_-]{16,64}$/;
const keyIdPattern = /^[A-Za-z0-9._-]{1,64}$/;
const requiredComponents = ["@method", "@path", "@query", digestHeader, protocolHeader];
const requiredParameters = ["created", "expires", "nonce", "keyid", "tag"];

/**
 * Reads `id:secret` pairs separated by commas or white space, as they stand in a setting. Throws
 * AppError usage without repeating any of the text.
 */
export function parseSigningKeys(text: string): SigningKey[] {
  const keys = text
    .split(/[\s,]+/)
    .filter((entry) => entry !== "")
    .map((entry) => {
      const colon = entry.indexOf(":");
      return {
        id: entry.slice(0, Math.max(colon, 0)),
        secret: new TextEncoder().encode(entry.slice(colon + 1)),
      };
    });
  checkKeys(keys);
  return keys;
}

function checkKeys(keys: readonly SigningKey[]): void {
  const ids = new Set(keys.map((key) => key.id));
  const good =
    keys.length > 0 &&
    ids.size === keys.length &&
    keys.every((key) => keyIdPattern.test(key.id) && key.secret.length >= minSecretBytes);
  if (good) return;
  throw new AppError(
    "usage",
    `Signing keys are written id:secret, separated by commas: one or more, each id once (letters, digits, ".", "_", "-"), each secret at least ${minSecretBytes} characters.`,
  );
}

const importKey = (secret: Uint8Array) =>
  crypto.subtle.importKey(
    "raw",
    secret as Uint8Array<ArrayBuffer>,
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign", "verify"],
  );

/** What WebCrypto made of a key, for as long as anybody has the key. */
const importedKeys = new WeakMap<SigningKey, ReturnType<typeof importKey>>();
function imported(key: SigningKey): ReturnType<typeof importKey> {
  const known = importedKeys.get(key) ?? importKey(key.secret);
  importedKeys.set(key, known);
  return known;
}

const keysNow = (keys: SigningKeys): readonly SigningKey[] =>
  typeof keys === "function" ? keys() : keys;

const randomNonce = (): string => toHex(crypto.getRandomValues(new Uint8Array(16)));

/** Signs with the first key. Throws AppError usage for keys that cannot be used. */
export function createSigner(options: SignerOptions): Signer {
  const { keys, now = Date.now, nonce = randomNonce, lifetimeS = defaultLifetimeS } = options;
  const { tag = defaultTag } = options;
  checkKeys(keysNow(keys));

  return {
    async sign({ method, url, contentType, body = new Uint8Array() }) {
      const headers: Record<string, string> = {
        [protocolHeader]: protocolVersion,
        [digestHeader]: await contentDigest(body),
        ...(contentType === undefined ? {} : { "content-type": contentType }),
      };
      const [first] = keysNow(keys);
      if (!first) throw new AppError("usage", "At least one signing key is needed.");
      const key = await imported(first);
      const created = Math.floor(now() / 1000);
      const fields = await createSignature(
        {
          kind: "request",
          method,
          targetUri: url,
          fields: Object.entries(headers).map(([name, value]) => ({ name, value })),
        },
        {
          label,
          components: [
            ...requiredComponents,
            ...(contentType === undefined ? [] : ["content-type"]),
          ],
          parameters: {
            created,
            expires: created + lifetimeS,
            nonce: nonce(),
            keyid: first.id,
            tag,
          },
          signer: {
            algorithm,
            sign: async (data) => new Uint8Array(await crypto.subtle.sign("HMAC", key, data)),
          },
        },
      );
      return {
        ...headers,
        "signature-input": fields.signatureInput,
        signature: fields.signature,
      };
    },
  };
}

const invalid = (internal: string, cause?: unknown): AppError =>
  new AppError("signature_invalid", "", { internal, ...(cause === undefined ? {} : { cause }) });

/** Accepts every key; remembers nonces as long as their signatures could be valid, also when the keys change. */
export function createVerifier(options: VerifierOptions): Verifier {
  const { keys, now = Date.now, windowS = defaultLifetimeS, nonceCapacity = 100_000 } = options;
  const { tag = defaultTag, find } = options;
  if (find === undefined) checkKeys(keysNow(keys));
  const nonces = createNonceMemory({
    capacity: nonceCapacity,
    // A signature is valid from `clockSkewS` before its creation to as long after its end.
    holdMs: (windowS + 2 * clockSkewS + 1) * 1000,
    now,
  });
  const keyNamed = async (id: string): Promise<SigningKey | undefined> =>
    keysNow(keys).find((key) => key.id === id) ??
    (keyIdPattern.test(id) ? await find?.(id) : undefined);

  const verifyHead = async ({ method, url, headers }: RequestToVerify) => {
    for (const name of ["signature", "signature-input", digestHeader]) {
      const value = headers.get(name);
      if (value === null) throw invalid(`the header ${name} is missing`);
      if (value.length > maxHeaderChars) throw invalid(`the header ${name} is too long`);
    }
    const fields = Array.from(headers, ([name, value]) => ({ name, value }));
    try {
      return await verifySignature(
        { kind: "request", method, targetUri: url, fields: fields.filter(signable) },
        {
          label,
          policy: {
            algorithms: [algorithm],
            requiredComponents,
            requiredParameters,
            maxAge: windowS,
            clockSkew: clockSkewS,
            now: Math.floor(now() / 1000),
          },
          async resolveVerifier({ parameters }) {
            const known = await keyNamed(parameters.keyid ?? "");
            if (known === undefined) throw new Error("the key is not known");
            const key = await imported(known);
            return {
              algorithm,
              // Compares in constant time (Web Cryptography, HMAC verify).
              verify: (data, signature) =>
                crypto.subtle.verify(
                  "HMAC",
                  key,
                  signature as Uint8Array<ArrayBuffer>,
                  data as Uint8Array<ArrayBuffer>,
                ),
            };
          },
        },
      );
    } catch (cause) {
      throw invalid(cause instanceof Error ? cause.message : "unknown", cause);
    }
  };

  const identify: Verifier["identify"] = async (request, readBody) => {
    const { parameters, components } = await verifyHead(request);
    if (parameters.tag !== tag) throw invalid("the tag is another one");
    const { created = 0, expires = 0, nonce = "" } = parameters;
    if (expires <= created || expires - created > windowS) {
      throw invalid("the lifetime is longer than the window");
    }
    if (!noncePattern.test(nonce)) throw invalid("the nonce has another form");
    // No await since the signature was verified: of two copies at once only one passes.
    const seen = nonces.remember(nonce);
    if (seen === "replayed") throw invalid("the nonce was used before");
    if (seen === "full") {
      throw new AppError("overloaded", "Too many requests at once. Try again.", {
        internal: `${nonceCapacity} nonces are held`,
        retryAfterS: 1,
      });
    }
    const body = await readBody();
    if (!(await digestMatches(request.headers.get(digestHeader) ?? "", body))) {
      throw invalid("the content digest is not that of the body");
    }
    if (body.length > 0 && !components.some(({ name }) => name === "content-type")) {
      throw invalid("the content type of a body is not signed");
    }
    return { body, keyId: parameters.keyid ?? "" };
  };
  return {
    identify,
    verify: async (request, readBody) => (await identify(request, readBody)).body,
  };
}

/** Headers with bytes beyond ASCII cannot be signed, and one that nobody signed must not fail the rest. */
const signable = ({ value }: { readonly value: string }): boolean => /^[\x20-\x7e\t]*$/.test(value);
