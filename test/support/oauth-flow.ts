// A person's browser and a client's memory, for tests of OAuth: the browser keeps cookies and follows nothing by
// itself, so that a test sees every step.
import { createHash, randomBytes } from "node:crypto";
import type { OAuthClientProvider } from "@modelcontextprotocol/client";

/** Fields of a page's form that are filled in already, and those that wait for the person. */
export interface PageForm {
  readonly hidden: Readonly<Record<string, string>>;
  readonly scopes: readonly string[];
  readonly asksForKey: boolean;
}

export interface SeenPage {
  readonly response: Response;
  readonly html: string;
  readonly form: PageForm;
}

const textOf = (html: string): string =>
  html
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&#39;", "'")
    .replaceAll("&amp;", "&");

function formOf(html: string): PageForm {
  const inputs = Array.from(html.matchAll(/<input ([^>]*)>/g), ([, attributes = ""]) =>
    Object.fromEntries(
      Array.from(attributes.matchAll(/([\w-]+)="([^"]*)"/g), ([, name = "", value = ""]) => [
        name,
        textOf(value),
      ]),
    ),
  );
  const of = (type: string) => inputs.filter((input) => input["type"] === type);
  return {
    hidden: Object.fromEntries(of("hidden").map(({ name = "", value = "" }) => [name, value])),
    scopes: of("checkbox").map(({ value = "" }) => value),
    asksForKey: of("password").length > 0,
  };
}

let addresses = 0;
/** Of somebody else each time, since an address may come only so often. */
export const newAddress = (): string => `198.51.${(addresses >> 8) & 255}.${addresses++ & 255}`;

export class Browser {
  readonly cookies = new Map<string, string>();
  readonly #headers: Readonly<Record<string, string>>;

  constructor(headers: Readonly<Record<string, string>> = {}) {
    this.#headers = { "cf-connecting-ip": newAddress(), ...headers };
  }

  async #go(url: string | URL, init: RequestInit): Promise<SeenPage> {
    const cookie = Array.from(this.cookies, ([name, value]) => `${name}=${value}`).join("; ");
    const response = await fetch(url, {
      ...init,
      redirect: "manual",
      headers: {
        ...this.#headers,
        ...(init.headers as Record<string, string> | undefined),
        ...(cookie === "" ? {} : { cookie }),
      },
    });
    for (const line of response.headers.getSetCookie()) {
      const [pair = "", ...attributes] = line.split("; ");
      const [name = "", value = ""] = pair.split("=");
      if (attributes.includes("Max-Age=0")) this.cookies.delete(name);
      else this.cookies.set(name, value);
    }
    const html = await response.text();
    return { response, html, form: formOf(html) };
  }

  open(url: string | URL): Promise<SeenPage> {
    return this.#go(url, {});
  }

  /** Sends the form of a page of this origin, as a browser would. */
  send(
    url: string | URL,
    fields: Iterable<readonly [string, string]>,
    headers: Record<string, string> = {},
  ): Promise<SeenPage> {
    const body = new URLSearchParams();
    for (const [name, value] of fields) body.append(name, value);
    return this.#go(url, {
      method: "POST",
      headers: { origin: new URL(url).origin, ...headers },
      body,
    });
  }
}

export interface Agreeing {
  readonly key?: string;
  /** Of those that are offered; all when left out. */
  readonly scopes?: readonly string[];
  readonly refuse?: true;
}

/** Goes through the pages as a person does; resolves to where the browser is sent in the end, and what was seen. */
export async function agree(
  browser: Browser,
  authorizeUrl: string | URL,
  { key, scopes, refuse }: Agreeing,
): Promise<{ readonly to: URL; readonly pages: readonly SeenPage[] }> {
  const at = new URL(authorizeUrl);
  const pages = [await browser.open(at)];
  for (;;) {
    const page = pages.at(-1);
    if (page === undefined) throw new Error("no page");
    const { response, form, html } = page;
    const location = response.headers.get("location");
    if (location !== null) return { to: new URL(location), pages };
    if (response.status !== 200) throw new Error(`${response.status}: ${html}`);
    const fields: [string, string][] = Object.entries(form.hidden);
    fields.push(["decision", refuse === true ? "deny" : "allow"]);
    if (form.asksForKey) fields.push(["key", key ?? ""]);
    for (const scope of form.scopes) {
      if (scopes === undefined || scopes.includes(scope)) fields.push(["scope", scope]);
    }
    pages.push(await browser.send(new URL(at.pathname, at), fields));
  }
}

/** What a client of an SDK remembers between its steps. */
export interface Memory extends OAuthClientProvider {
  /** Where it last wanted the person's browser to go. */
  readonly wanted: { url?: URL };
  readonly kept: { tokens?: Awaited<ReturnType<OAuthClientProvider["tokens"]>> };
}

export function clientMemory(
  redirectUrl: string,
  name: string,
  more: Partial<OAuthClientProvider> = {},
): Memory {
  const wanted: Memory["wanted"] = {};
  const kept: Memory["kept"] = {};
  let client: Awaited<ReturnType<OAuthClientProvider["clientInformation"]>>;
  let verifier = "";
  return {
    ...{ wanted, kept, redirectUrl },
    clientMetadata: {
      client_name: name,
      redirect_uris: [redirectUrl],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      token_endpoint_auth_method: "none",
    },
    clientInformation: () => client,
    saveClientInformation(information) {
      client = information;
    },
    tokens: () => kept.tokens,
    saveTokens(tokens) {
      kept.tokens = tokens;
    },
    redirectToAuthorization(url) {
      wanted.url = url;
    },
    saveCodeVerifier(text) {
      verifier = text;
    },
    codeVerifier: () => verifier,
    ...more,
  };
}

export const pkce = () => {
  const verifier = randomBytes(32).toString("base64url");
  return { verifier, challenge: createHash("sha256").update(verifier).digest("base64url") };
};
