// What the token of a captioning link holds: which key answers for it, until when, and a digest of what is asked. The
// rest of the link can be read by anyone, and nothing of it can be changed.
import { sha256Hex } from "@blip2-edge/shared/hex";
import { canonicalJson } from "../cache/canonical-json.ts";
import type { TokenSealer } from "./token.ts";

export interface SignedCaption {
  readonly keyId: string;
  /** Unix seconds. */
  readonly until: number;
}
/** The query as it is written. */
export type AskedFields = Readonly<Record<string, string>>;

export interface CaptionLinks {
  write(signed: SignedCaption, fields: AskedFields): Promise<string>;
  /** Undefined: none that was written here, or for another question. Whether it is over is the caller's to see. */
  read(token: string, fields: AskedFields): Promise<SignedCaption | undefined>;
}

const purpose = "caption";

export function captionLinks(tokens: TokenSealer): CaptionLinks {
  const digestOf = async (fields: AskedFields): Promise<string> =>
    (await sha256Hex(canonicalJson(fields))).slice(0, 32);
  return {
    async write({ keyId, until }, fields) {
      const content = [String(until), keyId, await digestOf(fields)].join(" ");
      return tokens.seal(purpose, new Uint8Array(new TextEncoder().encode(content)));
    },
    async read(token, fields) {
      const content = await tokens.open(purpose, token);
      if (content === undefined) return undefined;
      const [until = "", keyId = "", digest] = new TextDecoder().decode(content).split(" ");
      return digest === (await digestOf(fields)) ? { keyId, until: Number(until) } : undefined;
    },
  };
}
