// Secrets that must be stored and read again: encrypted with a key of their own (HKDF-SHA-256 of the Worker's
// secret and the purpose, AES-256-GCM), so that the tables alone tell none, and one text is no use in the
// place of another. What need not be read again is hashed instead (api-key.ts).

export interface Sealer {
  /** `purpose` says what it is and whose; the same is needed to open it. */
  seal(purpose: string, text: string): Promise<string>;
  /** Undefined when it was sealed for another purpose, with another secret, or is damaged. */
  open(purpose: string, sealed: string): Promise<string | undefined>;
}

const ivBytes = 12;
const label = "blip2-edge/seal/v1";
const encoder = new TextEncoder();

const toText = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes));
const toBytes = (text: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

export function sealer(secret: string): Sealer {
  const keyFor = async (purpose: string) => {
    const root = await crypto.subtle.importKey("raw", encoder.encode(secret), "HKDF", false, [
      "deriveKey",
    ]);
    return crypto.subtle.deriveKey(
      {
        name: "HKDF",
        hash: "SHA-256",
        salt: encoder.encode(label),
        info: encoder.encode(purpose),
      },
      root,
      { name: "AES-GCM", length: 256 },
      false,
      ["encrypt", "decrypt"],
    );
  };
  return {
    async seal(purpose, text) {
      const iv = crypto.getRandomValues(new Uint8Array(ivBytes));
      const data = encoder.encode(text);
      const sealed = await crypto.subtle.encrypt(
        { name: "AES-GCM", iv },
        await keyFor(purpose),
        data,
      );
      return `${toText(iv)}.${toText(new Uint8Array(sealed))}`;
    },
    async open(purpose, sealed) {
      const [iv = "", data = ""] = sealed.split(".");
      try {
        const text = await crypto.subtle.decrypt(
          { name: "AES-GCM", iv: toBytes(iv) },
          await keyFor(purpose),
          toBytes(data),
        );
        return new TextDecoder().decode(text);
      } catch {
        return undefined;
      }
    },
  };
}
