// The form of an API key: `b2e_<id>_<secret><checksum>`, all base62. Pure; runs in Node and workerd.
// The prefix and the checksum let a scanner recognise a leaked key and let the Worker drop a typing
// error before any lookup. Only SHA-256 of the whole key is ever stored: the secret carries 190 bits,
// so there is nothing that a slow hash would protect.
import { sha256Hex } from "@blip2-edge/shared/hex";

const apiKeyPrefix = "b2e";
const idLength = 12;
const secretLength = 32;
const checksumLength = 6;
const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const keyPattern = new RegExp(
  `^${apiKeyPrefix}_([0-9A-Za-z]{${idLength}})_([0-9A-Za-z]{${secretLength}})([0-9A-Za-z]{${checksumLength}})$`,
);
/** Longer texts are not even hashed. */
export const maxKeyCharacters = 256;

export interface NewApiKey {
  /** Shown once, never stored. */
  readonly key: string;
  readonly id: string;
  /** What may be shown later to tell keys apart. */
  readonly prefix: string;
  readonly hash: string;
}

export type RandomBytes = (count: number) => Uint8Array<ArrayBuffer>;
const cryptoRandom: RandomBytes = (count) => crypto.getRandomValues(new Uint8Array(count));

/** Uniform base62 digits: bytes of 248 and above would favour the first digits and are thrown away. */
function randomDigits(count: number, randomBytes: RandomBytes): string {
  let digits = "";
  while (digits.length < count) {
    for (const byte of randomBytes(count)) {
      if (byte < 248 && digits.length < count) digits += alphabet.charAt(byte % 62);
    }
  }
  return digits;
}

/** CRC-32 (IEEE 802.3, reflected) as six base62 digits. */
function checksum(text: string): string {
  let crc = 0xffffffff;
  for (let index = 0; index < text.length; index++) {
    crc ^= text.charCodeAt(index);
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  let rest = (crc ^ 0xffffffff) >>> 0;
  let digits = "";
  for (let index = 0; index < checksumLength; index++) {
    digits = alphabet.charAt(rest % 62) + digits;
    rest = Math.floor(rest / 62);
  }
  return digits;
}

/** SHA-256 over the whole key, hex: what the table holds. */
export const hashApiKey = (key: string): Promise<string> => sha256Hex(key);

/** A new key, or a new secret for the key with this id (12 base62 digits). */
export async function createApiKey(
  randomBytes: RandomBytes = cryptoRandom,
  id = randomDigits(idLength, randomBytes),
): Promise<NewApiKey> {
  const body = `${apiKeyPrefix}_${id}_${randomDigits(secretLength, randomBytes)}`;
  const key = body + checksum(body);
  return { key, id, prefix: `${apiKeyPrefix}_${id}`, hash: await hashApiKey(key) };
}

/** Whether a key with this id has the project's form; an id of a key chosen by hand has not. */
export const isApiKeyId = (id: string): boolean => id.length === idLength;

/** The id of a well-formed key, or undefined when its form or its checksum is wrong. */
export function parseApiKey(key: string): { readonly id: string } | undefined {
  const [, id, secret, check] = keyPattern.exec(key) ?? [];
  if (id === undefined || secret === undefined || check === undefined) return undefined;
  return checksum(`${apiKeyPrefix}_${id}_${secret}`) === check ? { id } : undefined;
}

/**
 * The id under which a key is stored. A key of another form (a development key chosen by hand) gets an
 * id from its hash; the Worker looks such keys up only where ACCEPT_FOREIGN_KEYS says so.
 */
export async function keyIdOf(key: string): Promise<{ id: string; prefix: string }> {
  const parsed = parseApiKey(key);
  if (parsed !== undefined) return { id: parsed.id, prefix: `${apiKeyPrefix}_${parsed.id}` };
  const id = `x${(await hashApiKey(`id:${key}`)).slice(0, 16)}`;
  return { id, prefix: id };
}
