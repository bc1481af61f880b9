// OAuth at /mcp on the Worker before a scripted node: the SDKs' clients of both generations through the pages that a
// person sees, then what each part refuses: forged, used and foreign forms, clients, codes, tokens.
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { Client as V1Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as V1Transport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createApiKey, keyIdOf } from "../../edge/src/auth/api-key.ts";
import { expectProblem, startEdge, type Edge } from "../support/edge.ts";
import {
  agree,
  Browser,
  clientMemory,
  newAddress,
  pkce,
  type Agreeing,
} from "../support/oauth-flow.ts";
import { png } from "../support/pictures.ts";

const documentUrl = "https://agent.example/client.json";
const callback = "https://agent.example/callback";
const picture = await png(141_000);
let edge: Edge;
/** Every address that the Worker asked the internet for. */
const fetched: string[] = [];
/** What must be found nowhere. */
const secrets = new Map<string, string>();
const every = ["infer", "search", "index"] as const;

beforeAll(async () => {
  edge = await startEdge({
    vars: { OAUTH: "true" },
    internet(request) {
      fetched.push(request.url);
      if (request.url === documentUrl) {
        const client_name = "Agent <b>of</b> \u202Eexample";
        return Response.json({ client_id: documentUrl, client_name, redirect_uris: [callback] });
      }
      return new Response(new Uint8Array(picture), { headers: { "content-type": "image/png" } });
    },
  });
});
afterAll(() => edge?.stop());

async function newKey(tenant = "ada", scopes: readonly (typeof every)[number][] = every) {
  const { key } = await createApiKey();
  secrets.set(`key of ${tenant} ${secrets.size}`, key);
  await edge.worker.putKey({ key, tenant, name: `${tenant}'s agents`, scopes });
  return { key, id: (await keyIdOf(key)).id };
}

interface Registered {
  readonly client_id: string;
  readonly client_secret?: string;
}
const register = async (more: Record<string, unknown> = {}, address = "192.0.2.1") =>
  fetch(`${edge.url}/oauth/register`, {
    method: "POST",
    headers: { "content-type": "application/json", "cf-connecting-ip": address },
    body: JSON.stringify({
      ...{ client_name: "by hand", redirect_uris: [callback], token_endpoint_auth_method: "none" },
      ...more,
    }),
  });
let handMade: Promise<Registered> | undefined;
const clientByHand = (): Promise<Registered> =>
  (handMade ??= register().then((response) => response.json() as Promise<Registered>));

interface Asking {
  readonly challenge?: string | null;
  readonly [parameter: string]: string | null | undefined;
}
async function authorizeUrl({ challenge = pkce().challenge, ...more }: Asking = {}): Promise<URL> {
  const url = new URL("/oauth/authorize", edge.url);
  const parameters: Record<string, string | null | undefined> = {
    ...{ response_type: "code", client_id: (await clientByHand()).client_id },
    ...{ redirect_uri: callback, state: "s+1", scope: every.join(" ") },
    ...{ resource: `${edge.url}/mcp`, code_challenge: challenge, code_challenge_method: "S256" },
    ...more,
  };
  for (const [name, value] of Object.entries(parameters)) {
    if (typeof value === "string") url.searchParams.set(name, value);
  }
  return url;
}

interface Tokens {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly scope: string;
}
const tokenRequest = async (fields: Record<string, string>) =>
  fetch(`${edge.url}/oauth/token`, {
    method: "POST",
    headers: { "cf-connecting-ip": newAddress() },
    body: new URLSearchParams({ client_id: (await clientByHand()).client_id, ...fields }),
  });
const errorOf = async (response: Response): Promise<string> =>
  ((await response.json()) as { error: string }).error;

/** Through the pages, and the code not yet redeemed. */
async function newCode(agreeing: Agreeing) {
  const { verifier, challenge } = pkce();
  const { to } = await agree(new Browser(), await authorizeUrl({ challenge }), agreeing);
  const code = to.searchParams.get("code") ?? "";
  secrets.set(`code ${secrets.size}`, code).set(`verifier ${secrets.size}`, verifier);
  const redeem = (more: Record<string, string> = {}) =>
    tokenRequest({
      ...{ grant_type: "authorization_code", code, code_verifier: verifier },
      ...{ redirect_uri: callback, ...more },
    });
  return { to, code, redeem };
}
async function newTokens(agreeing: Agreeing): Promise<Tokens> {
  const response = await (await newCode(agreeing)).redeem();
  expect(response.status).toBe(200);
  const tokens = (await response.json()) as Tokens;
  secrets.set(`access ${secrets.size}`, tokens.access_token);
  secrets.set(`refresh ${secrets.size}`, tokens.refresh_token);
  return tokens;
}
const refresh = (token: string) =>
  tokenRequest({ grant_type: "refresh_token", refresh_token: token });

const message = (method: string, params: object = {}) =>
  JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
const listing = message("tools/list");
const calling = (name: string, args: object) => message("tools/call", { name, arguments: args });
const mcp = (token: string | null, body = listing, url = edge.url) =>
  fetch(`${url}/mcp`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
    },
    body,
  });
/** The 401 of a token that is over, and nothing else. */
async function expectRefused(token: string, url = edge.url): Promise<void> {
  const response = await mcp(token, listing, url);
  expect(response.headers.get("www-authenticate")).toMatch(
    /^Bearer realm="blip2-edge", error="invalid_token", .*resource_metadata="http:\/\/[^"]+\/\.well-known\/oauth-protected-resource\/mcp"$/,
  );
  await expectProblem(response, "unauthorized");
}
async function expectTaken(token: string): Promise<void> {
  const response = await mcp(token);
  expect(response.status, await response.text()).toBe(200);
}
const grantsOf = async (key: string) => {
  const { grants } = (await (await edge.call("/v1/grants", { key })).json()) as {
    grants: { id: string; client_name: string; scopes: string[]; refreshed_at: string | null }[];
  };
  return grants;
};

test("whoever comes without a token learns where to get one, and how", async () => {
  const response = await mcp(null);
  const challenge = response.headers.get("www-authenticate") ?? "";
  expect(challenge).toMatch(/^Bearer realm="blip2-edge", scope="infer search index", /);
  await expectProblem(response, "unauthorized");
  const [, metadataUrl = ""] = /resource_metadata="([^"]+)"/.exec(challenge) ?? [];
  const resource = await (await fetch(metadataUrl)).json();
  expect(resource).toMatchObject({
    ...{ resource: `${edge.url}/mcp`, authorization_servers: [edge.url] },
    ...{ scopes_supported: every, bearer_methods_supported: ["header"] },
  });
  const server = await (await fetch(`${edge.url}/.well-known/oauth-authorization-server`)).json();
  expect(server).toMatchObject({
    ...{ issuer: edge.url, code_challenge_methods_supported: ["S256"] },
    ...{
      authorization_endpoint: `${edge.url}/oauth/authorize`,
      response_types_supported: ["code"],
    },
    ...{ token_endpoint: `${edge.url}/oauth/token`, scopes_supported: every },
    ...{ registration_endpoint: `${edge.url}/oauth/register` },
    client_id_metadata_document_supported: true,
  });
  expect(server).not.toMatchObject({
    grant_types_supported: expect.arrayContaining(["implicit"]) as unknown,
  });
});

describe("clients of both generations, from the refusal to a tool's answer", () => {
  const call = {
    ...{ name: "caption_image", arguments: { images: ["https://pictures.example/a.png"] } },
  };

  test("v2, known by its metadata document", async () => {
    const { key } = await newKey();
    const memory = clientMemory(callback, "unused", { clientMetadataUrl: documentUrl });
    const transport = () =>
      new StreamableHTTPClientTransport(new URL("/mcp", edge.url), { authProvider: memory });
    const newClient = () =>
      new Client({ name: "test", version: "1" }, { versionNegotiation: { mode: "auto" } });
    const first = transport();
    await expect(newClient().connect(first)).rejects.toThrow();
    const { to, pages } = await agree(new Browser(), memory.wanted.url ?? "", { key });
    expect(to.origin + to.pathname).toBe(callback);
    // Whose it is, what it wants and where it leads; its own words are only words.
    const [signIn, consent] = pages.map(({ html }) => html);
    for (const html of [signIn, consent]) {
      expect(html).toContain("<bdi>Agent &lt;b&gt;of&lt;/b&gt; example</bdi>");
      expect(html).toContain("<strong>agent.example</strong>");
      expect(html).not.toContain(key);
    }
    expect(consent).toContain("ada&#39;s agents");
    await first.finishAuth(to.searchParams);
    const client = newClient();
    await client.connect(transport());
    expect((await client.listTools()).tools.length).toBeGreaterThanOrEqual(5);
    const { isError, structuredContent } = await client.callTool(call);
    expect([isError ?? false, structuredContent]).toMatchObject([false, { captions: [{}] }]);
    expect(edge.events.filter(({ route }) => route === "caption").at(-1)).toMatchObject({
      tenant: "ada",
    });
    await client.close();
  });

  test("v1, registered by itself; it comes back with its refresh token", async () => {
    const { key } = await newKey();
    const memory = clientMemory("http://127.0.0.1:7777/callback", "v1 <script>alert(1)</script>");
    const transport = () =>
      new V1Transport(new URL("/mcp", edge.url), {
        authProvider: memory as unknown as NonNullable<
          ConstructorParameters<typeof V1Transport>[1]
        >["authProvider"] &
          object,
      });
    const first = transport();
    await expect(new V1Client({ name: "test", version: "1" }).connect(first)).rejects.toThrow();
    const { to, pages } = await agree(new Browser(), memory.wanted.url ?? "", { key });
    expect(pages[0]?.html).toContain("v1 &lt;script&gt;alert(1)&lt;/script&gt;");
    expect(pages[0]?.html).not.toMatch(/<script/i);
    expect(pages[0]?.html).toContain("a program on your own machine");
    await first.finishAuth(to.searchParams.get("code") ?? "");
    const before = memory.kept.tokens?.access_token ?? "";
    // The library forgets it: the client is refused, and helps itself.
    const kv = await edge.worker.kv("OAUTH_KV");
    const [grantId = ""] = before.split(":");
    for (const { name } of (await kv.list({ prefix: `token:${grantId}:` })).keys) {
      await kv.delete(name);
    }
    const client = new V1Client({ name: "test", version: "1" });
    await client.connect(transport());
    expect(memory.kept.tokens?.access_token).not.toBe(before);
    const { structuredContent } = await client.callTool(call);
    expect(structuredContent).toMatchObject({ captions: [{}] });
    await client.close();
  });
});

describe("a token is worth its key and its grant, for /mcp alone", () => {
  test("what one tenant has, a token of another does not reach; the API takes no tokens", async () => {
    const [ada, bob] = [await newKey("ada"), await newKey("bob")];
    const uploaded = await edge.upload("/v1/caption", await png(141_001), undefined, ada.key);
    const { image_id } = (await uploaded.json()) as { image_id: string };
    const [hers, his] = [await newTokens({ key: ada.key }), await newTokens({ key: bob.key })];
    const asking = calling("caption_image", { images: [image_id] });
    expect(await (await mcp(hers.access_token, asking)).text()).toContain('"captions"');
    const foreign = await (await mcp(his.access_token, asking)).text();
    expect(foreign).toContain("image_not_found");
    expect(edge.events.filter(({ route }) => route === "mcp").at(-1)).toMatchObject({
      ...{ tenant: "bob", key_id: bob.id },
      grant_id: his.access_token.split(":")[0],
    });
    await expectProblem(await edge.call("/v1/models", { key: his.access_token }), "unauthorized");
  });

  test("of a tool that was not agreed to, it is told what to ask for; of one that the key may not, the tool tells", async () => {
    const { key, id } = await newKey();
    const { access_token: token, scope } = await newTokens({ key, scopes: ["infer"] });
    expect(scope).toBe("infer");
    const searching = calling("search_images", { text: "boots" });
    const refused = await mcp(token, searching);
    expect(refused.headers.get("www-authenticate")).toMatch(
      /^Bearer realm="blip2-edge", error="insufficient_scope", .*scope="infer search", resource_metadata="/,
    );
    await expectProblem(refused, "forbidden");
    await edge.worker.putKey({ key, tenant: "ada", name: "narrowed", scopes: ["infer"] });
    const told = await mcp(token, searching);
    expect([told.status, await told.text()]).toEqual([
      200,
      expect.stringContaining("lacks the scope `search`"),
    ]);
    expect((await keyIdOf(key)).id).toBe(id);
  });

  test("it ends with its grant, at once, and nobody else's", async () => {
    const [{ key }, other] = [await newKey(), await newKey("bob")];
    const { access_token: token, refresh_token: forMore } = await newTokens({ key });
    const { access_token: stays } = await newTokens({ key });
    const [grant, second] = await grantsOf(key);
    expect(grant).toMatchObject({ client_name: "by hand", scopes: [...every], revoked_at: null });
    expect(grant?.refreshed_at).not.toBeNull();
    const end = (by: string) => edge.call(`/v1/grants/${grant?.id}`, { method: "DELETE", key: by });
    await expectProblem(await end(other.key), "not_found");
    // Another key of the same tenant sees and ends its own alone.
    const sister = await newKey();
    expect(await grantsOf(sister.key)).toEqual([]);
    await expectProblem(await end(sister.key), "not_found");
    await expectTaken(token);
    expect(await (await end(key)).json()).toMatchObject({ id: grant?.id });
    await expectRefused(token);
    expect(await errorOf(await refresh(forMore))).toBe("invalid_grant");
    await expectTaken(stays);
    expect(second?.id).toBe(stays.split(":")[0]);
  });

  test("it ends with its key, whether that is revoked or over, and when its own time is over", async () => {
    const { key, id } = await newKey();
    const { access_token: token, refresh_token: forMore } = await newTokens({ key });
    const set = (column: string, value: number | null) =>
      edge.worker.db
        .prepare(`UPDATE api_keys SET ${column} = ? WHERE id = ?`)
        .bind(value, id)
        .run();
    for (const column of ["revoked_at", "expires_at"]) {
      await set(column, Date.now() - 1);
      await expectRefused(token);
      await set(column, null);
      await expectTaken(token);
    }
    const kv = await edge.worker.kv("OAUTH_KV");
    const [entry] = (await kv.list({ prefix: `token:${token.split(":")[0]}:` })).keys;
    const name = entry?.name ?? "";
    const kept = (await kv.get(name)) ?? "";
    await kv.put(name, JSON.stringify({ ...(JSON.parse(kept) as object), expiresAt: 1 }));
    await expectRefused(token);
    await kv.put(name, kept);
    await expectTaken(token);
    await edge.worker.db
      .prepare("UPDATE oauth_grants SET expires_at = ? WHERE key_id = ?")
      .bind(Date.now() - 1, id)
      .run();
    await expectRefused(token);
    expect(await errorOf(await refresh(forMore))).toBe("invalid_grant");
  });

  test("for another resource, and changed by a letter, it is none", async () => {
    const { key } = await newKey();
    const { access_token: token } = await newTokens({ key });
    await expectTaken(token);
    await expectRefused(token, edge.url.replace("127.0.0.1", "localhost"));
    await expectRefused(`${token.slice(0, -1)}${token.endsWith("A") ? "B" : "A"}`);
    await expectRefused(`grt_${"0".repeat(32)}:x:y`);
    await expectRefused("b2e_nobody");
  });

  test("a client gives its tokens back: then the grant is over", async () => {
    const { key } = await newKey();
    const { access_token: token, refresh_token: forMore } = await newTokens({ key });
    expect((await tokenRequest({ token: forMore })).status).toBe(200);
    await expectRefused(token);
    expect(await grantsOf(key)).toMatchObject([{ revoked_at: expect.any(String) as unknown }]);
  });
});

describe("a form is good once, in the browser that it was sent to", () => {
  const consentFields = async (browser: Browser, key: string) => {
    const url = await authorizeUrl();
    const { form } = await browser.open(url);
    const signIn = [...Object.entries(form.hidden), ["decision", "allow"], ["key", key]] as const;
    const { form: next } = await browser.send(`${edge.url}/oauth/authorize`, signIn);
    return [
      ...Object.entries(next.hidden),
      ["decision", "allow"] as const,
      ...next.scopes.map((scope) => ["scope", scope] as const),
    ];
  };
  const to = () => `${edge.url}/oauth/authorize`;

  test("without its cookie, with another's, a second time, with a foreign seal, it does nothing", async () => {
    const { key } = await newKey();
    const browser = new Browser();
    const fields = await consentFields(browser, key);
    const refused = async (by: Browser, sent = fields) => {
      const { response, html } = await by.send(to(), sent);
      expect([response.status, response.headers.get("location")]).toEqual([400, null]);
      expect(html).toContain("This cannot be asked");
    };
    await refused(new Browser());
    const other = new Browser();
    const others = await consentFields(other, key);
    await refused(other);
    // The seal of one form in another's place.
    const who = others.find(([name]) => name === "who") ?? ["who", ""];
    const swapped = fields.map((field) => (field[0] === "who" ? who : field));
    await refused(browser, swapped);
    const again = await consentFields(browser, key);
    const { response } = await browser.send(to(), again);
    expect(response.headers.get("location")).toMatch(
      /^https:\/\/agent\.example\/callback\?.*code=/,
    );
    await refused(browser, again);
    expect(await grantsOf(key)).toHaveLength(1);
  });

  test("from a page of another origin it is refused before it is looked at", async () => {
    const { key } = await newKey();
    const browser = new Browser();
    const fields = await consentFields(browser, key);
    for (const origin of ["https://evil.example", "null"]) {
      const { response } = await browser.send(to(), fields, { origin });
      expect(response.status).toBe(403);
    }
    expect(await grantsOf(key)).toEqual([]);
  });

  test("a wrong key, and nothing ticked, can be tried again; scopes that were not offered are not given", async () => {
    const { key } = await newKey("ada", ["infer"]);
    const browser = new Browser();
    const first = await browser.open(await authorizeUrl());
    const wrong = await browser.send(to(), [
      ...Object.entries(first.form.hidden),
      ...([
        ["decision", "allow"],
        ["key", `${key.slice(0, -1)}!`],
      ] as const),
    ]);
    expect([wrong.response.status, wrong.form.asksForKey]).toEqual([400, true]);
    expect(wrong.html).toContain('role="alert"');
    const right = await browser.send(to(), [
      ...Object.entries(wrong.form.hidden),
      ...([
        ["decision", "allow"],
        ["key", ` ${key} `],
      ] as const),
    ]);
    expect(right.form.scopes).toEqual(["infer"]);
    expect(right.html).toContain("<code>search</code>, <code>index</code> as well");
    const none = await browser.send(to(), [
      ...Object.entries(right.form.hidden),
      ["decision", "allow"],
    ]);
    expect([none.response.status, none.form.scopes]).toEqual([400, ["infer"]]);
    const more = await browser.send(to(), [
      ...Object.entries(none.form.hidden),
      ...([
        ["decision", "allow"],
        ["scope", "infer"],
        ["scope", "index"],
        ["scope", "admin"],
      ] as const),
    ]);
    expect(more.response.status).toBe(303);
    expect(await grantsOf(key)).toMatchObject([{ scopes: ["infer"] }]);
  });

  test("who refuses is sent back with that, and nothing is granted", async () => {
    const { to: back } = await agree(new Browser(), await authorizeUrl(), { refuse: true });
    expect(Object.fromEntries(back.searchParams)).toMatchObject({
      ...{ error: "access_denied", state: "s+1", iss: edge.url },
    });
  });

  test("its page runs nothing, loads nothing, and is framed by nobody", async () => {
    const { response } = await new Browser().open(await authorizeUrl());
    const policy = response.headers.get("content-security-policy") ?? "";
    expect(policy).toMatch(/^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='; /);
    expect(policy).toContain("form-action 'self' https://agent.example;");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain("script-src");
    expect(response.headers.get("x-frame-options")).toBe("DENY");
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(response.headers.get("set-cookie")).toMatch(
      /^__Host-[^=]+=[^;]+; Path=\/; Secure; HttpOnly; SameSite=Lax; Max-Age=600$/,
    );
  });
});

describe("a request that cannot be asked about", () => {
  test.each([
    ["an address that is not registered", { redirect_uri: "https://evil.example/callback" }],
    ["an address that begins like one", { redirect_uri: `${callback}/more` }],
    ["no address", { redirect_uri: null }],
    ["a client that nobody knows", { client_id: "nobody" }],
    ["no client", { client_id: null }],
    ["a description at a private address", { client_id: "https://169.254.169.254/client.json" }],
    ["a description on another port", { client_id: "https://agent.example:22/client.json" }],
    ["a description that is none", { client_id: "https://pictures.example/a.png" }],
  ])("%s: the person reads it, and goes nowhere", async (_, parameters) => {
    const { response, html } = await new Browser().open(await authorizeUrl(parameters));
    expect([response.status, response.headers.get("location")]).toEqual([400, null]);
    expect(html).toContain("This cannot be asked");
    expect(response.headers.get("content-security-policy")).toContain("form-action 'none'");
    expect(fetched.filter((url) => /169\.254|:22\//.test(url))).toEqual([]);
  });

  test.each([
    ["no PKCE", { challenge: null, code_challenge_method: null }, "invalid_request"],
    ["plain PKCE", { code_challenge_method: "plain" }, "invalid_request"],
    ["a token instead of a code", { response_type: "token" }, "unsupported_response_type"],
    ["another resource", { resource: "https://elsewhere.example/mcp" }, "invalid_target"],
    ["only scopes that there are not", { scope: "admin jobs" }, "invalid_scope"],
  ])("%s: the client is told", async (_, parameters, error) => {
    const { response } = await new Browser().open(await authorizeUrl(parameters));
    const location = new URL(response.headers.get("location") ?? "");
    expect(location.origin + location.pathname).toBe(callback);
    expect(Object.fromEntries(location.searchParams)).toMatchObject({ error, state: "s+1" });
  });

  test("a confidential client may not leave PKCE out either", async () => {
    const made = await register({ token_endpoint_auth_method: "client_secret_post" });
    const { client_id, client_secret = "" } = (await made.json()) as Registered;
    secrets.set("client secret", client_secret);
    const url = await authorizeUrl({ client_id, challenge: null, code_challenge_method: null });
    const { response } = await new Browser().open(url);
    expect(response.headers.get("location")).toContain("error=invalid_request");
  });
});

describe("codes and refresh tokens", () => {
  test("a code is no good with another proof, address or client, and works once; twice ends what it gave", async () => {
    const { key } = await newKey();
    const { redeem } = await newCode({ key });
    const wrong = [{ code_verifier: pkce().verifier }, { redirect_uri: `${callback}2` }];
    for (const more of wrong) expect(await errorOf(await redeem(more))).toMatch(/^invalid_/);
    const { client_id } = (await (await register()).json()) as Registered;
    expect(await errorOf(await redeem({ client_id }))).toMatch(/^invalid_/);
    const first = await redeem();
    expect(first.status).toBe(200);
    const { access_token: token } = (await first.json()) as Tokens;
    secrets.set("access of a code", token);
    await expectTaken(token);
    expect(await errorOf(await redeem())).toBe("invalid_grant");
    await expectRefused(token);
    expect(await grantsOf(key)).toMatchObject([{ revoked_at: expect.any(String) as unknown }]);
  });

  test("a refresh token rotates; the one before is good until its successor is used, and no longer", async () => {
    const { key } = await newKey();
    const first = await newTokens({ key, scopes: ["infer", "search"] });
    const second = (await (await refresh(first.refresh_token)).json()) as Tokens;
    expect(second.refresh_token).not.toBe(first.refresh_token);
    const third = (await (await refresh(second.refresh_token)).json()) as Tokens;
    expect(third.scope).toBe("infer search");
    expect(await errorOf(await refresh(first.refresh_token))).toBe("invalid_grant");
    await expectTaken(third.access_token);
  });

  test("a description's address is looked at before it is fetched for a token, too", async () => {
    const client_id = "https://10.0.0.1/client.json";
    const basic = Buffer.from(`${encodeURIComponent(client_id)}:x`).toString("base64");
    const fields = { grant_type: "refresh_token", refresh_token: "x" };
    const inForm = await tokenRequest({ ...fields, client_id });
    const inHeader = await fetch(`${edge.url}/oauth/token`, {
      method: "POST",
      headers: { authorization: `Basic ${basic}` },
      body: new URLSearchParams(fields),
    });
    for (const response of [inForm, inHeader]) {
      expect(await errorOf(response)).toBe("invalid_client");
    }
    expect(fetched.filter((url) => url.includes("10.0.0.1"))).toEqual([]);
  });
});

test("clients that register themselves are small, not many at a time, and not for ever", async () => {
  const many = Array.from({ length: 11 }, (_, at) => `https://agent.example/${at}`);
  for (const more of [
    { redirect_uris: many },
    { client_name: "x".repeat(101) },
    { software_id: "x".repeat(2001) },
    { redirect_uris: ["javascript:alert(1)"] },
    { redirect_uris: ["http://agent.example/callback"] },
  ]) {
    const response = await register(more, "192.0.2.2");
    expect([response.status, await errorOf(response)]).toEqual([
      400,
      expect.stringMatching(/^invalid_/),
    ]);
  }
  await expectProblem(
    await register({ contacts: ["x".repeat(20_000)] }, "192.0.2.2"),
    "body_too_large",
  );
  const statuses: number[] = [];
  for (let at = 0; at < 21; at++) statuses.push((await register({}, "192.0.2.3")).status);
  expect([statuses.slice(0, 20), statuses.at(-1)]).toEqual([Array(20).fill(201), 429]);
  const kv = await edge.worker.kv("OAUTH_KV");
  const { keys } = await kv.list({ prefix: "client:" });
  const monthS = Date.now() / 1000 + 31 * 86_400;
  expect(keys.length).toBeGreaterThan(20);
  for (const { expiration } of keys) expect(expiration).toBeLessThan(monthS);
});

test("foreign hosts get no answer anywhere of it", async () => {
  const origin = "https://evil.example";
  for (const path of ["/oauth/authorize", "/.well-known/oauth-authorization-server"]) {
    await expectProblem(await edge.call(path, { key: null, headers: { origin } }), "forbidden");
  }
});

test("of keys, codes, proofs and tokens nothing is in the log, nor of keys in what is kept", async () => {
  expect(secrets.size).toBeGreaterThan(20);
  const log = edge.lines.join("\n");
  const kv = await edge.worker.kv("OAUTH_KV");
  const kept: string[] = [];
  for (const { name } of (await kv.list()).keys) kept.push(name, (await kv.get(name)) ?? "");
  const { results } = await edge.worker.db.prepare("SELECT * FROM oauth_grants").all();
  kept.push(JSON.stringify(results));
  for (const [what, secret] of secrets) {
    expect(log.includes(secret), `${what} in the log`).toBe(false);
    expect(kept.join("\n").includes(secret), `${what} is kept`).toBe(false);
    // Nor its secret part alone.
    const [, , part = secret] = secret.split(":");
    expect(log.includes(part), `a part of ${what} in the log`).toBe(false);
  }
});
