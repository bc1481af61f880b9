// What the authorization server does for us (cloudflare-authority.ts), and no more of it: one for each origin, which
// is its issuer, and whose /mcp is the one resource that its tokens are for.
import type { ExecutionContext, KVNamespace } from "@cloudflare/workers-types";
import type { AgentScope } from "@blip2-edge/shared/contracts/grants";
import type { ClientFacts } from "./pages.ts";

/** A client's request, once client and redirect address are known to belong together. */
export interface AskedFor {
  readonly clientId: string;
  /** What of it can be granted at all; everything, when the client names nothing. */
  readonly scopes: readonly AgentScope[];
  readonly client: ClientFacts;
  /** Where an answer goes: an origin for the page's policy. */
  readonly redirectUri: string;
}

/** A form that a browser was sent, and the headers that tie it to that browser. */
export interface Form {
  readonly handle: string;
  readonly headers: Headers;
}

/** An answer to a form, which is good for this one time. */
export interface Answered {
  readonly asked: AskedFor;
  readonly headers: Headers;
  /** The same request, asked about once more. */
  again(): Promise<Form>;
  /** Where the browser goes to tell the client. */
  allow(grantId: string, keyId: string, scopes: readonly AgentScope[]): Promise<string>;
  deny(): string;
}

export interface Checked {
  readonly grantId: string;
  readonly keyId: string;
  readonly scopes: readonly string[];
}

export interface Authority {
  readonly issuer: string;
  readonly resource: string;
  /** Whether a client of this id may be looked up: what is an address must be one that may be fetched. */
  admits(clientId: string): boolean;
  /** Discovery, tokens, revocation, registration: as the protocol has them, failures too. */
  serve(request: Request, context: ExecutionContext): Promise<Response>;
  /** Undefined for what is no token of ours, over, or for another resource. */
  check(token: string): Promise<Checked | undefined>;
  /** Throws Refused. */
  read(request: Request): Promise<{ readonly asked: AskedFor; form(): Promise<Form> }>;
  /** Throws Refused: the form is over, was used, or went to another browser. */
  answer(request: Request, handle: string): Promise<Answered>;
  /** Whether anything is left of a grant with the library. */
  holds(grantId: string): Promise<boolean>;
  /** Takes it, and its tokens, away from the library. */
  drop(grantId: string): Promise<void>;
}

/** A request that cannot be asked about. */
export class Refused extends Error {
  /** The client hears of it there; undefined: it must not, and the person reads `message`. */
  readonly redirectTo: string | undefined;
  constructor(message: string, redirectTo?: string) {
    super(message);
    this.name = "Refused";
    this.redirectTo = redirectTo;
  }
}

export interface AuthorityOptions {
  readonly kv: KVNamespace;
  readonly origin: string;
  readonly accessTokenS: number;
  readonly grantS: number;
  readonly clientS: number;
  /** Whether clients may register themselves. */
  readonly registration: boolean;
  /** Whether a client's metadata document may be fetched from there. */
  readonly mayFetch: (url: string) => boolean;
  /** Asked before tokens are given out for a grant; false: it is over. */
  readonly renew: (grantId: string, keyId: string) => Promise<boolean>;
  /** For the log: which check of the protocol failed. */
  readonly note: (fault: string) => void;
}

/** Undefined where an origin cannot be an issuer: over plain http, but for this machine's own addresses. */
export type MakeAuthority = (options: AuthorityOptions) => Authority | undefined;
