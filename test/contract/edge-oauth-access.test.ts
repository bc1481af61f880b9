// OAuth at /mcp where Cloudflare Access stands before the page: who it vouches for, and who not; and the page in a real
// browser, with axe's rules for WCAG 2.2 AA, from the client's link back to the client.
import { readFile } from "node:fs/promises";
import http from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import type { AxeResults } from "axe-core";
import { exportJWK, generateKeyPair, SignJWT, type JWTPayload } from "jose";
import type { Browser as RealBrowser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createApiKey } from "../../edge/src/auth/api-key.ts";
import { browserIsMissing, openPage, startBrowser } from "../support/browser.ts";
import { startEdge, type Edge } from "../support/edge.ts";
import { agree, Browser, pkce } from "../support/oauth-flow.ts";

const team = "https://acme.cloudflareaccess.com";
const audience = "4714c1358e65fe4b408ad6d432a5f878f08194bdb4752441fd56faefa9b2b6f2";
const shared = await createApiKey();
const own = await createApiKey();
const [real, other] = [await generateKeyPair("RS256"), await generateKeyPair("RS256")];
let edge: Edge;
let back: http.Server;
/** Where the client waits for its code. */
let callback: string;
let clientId: string;

beforeAll(async () => {
  const keys = [{ ...(await exportJWK(real.publicKey)), kid: "one", alg: "RS256", use: "sig" }];
  edge = await startEdge({
    vars: {
      ...{ OAUTH: "true", ACCESS_TEAM: team, ACCESS_AUDIENCE: audience },
      ACCESS_KEYS: `*@example.com=${shared.id}, gone@example.com=nobody`,
    },
    internet: ({ url }) =>
      url === `${team}/cdn-cgi/access/certs`
        ? Response.json({ keys })
        : new Response(null, { status: 404 }),
  });
  for (const { key } of [shared, own]) {
    await edge.worker.putKey({
      ...{ key, tenant: "ada", name: "press office", scopes: ["infer", "search"] },
    });
  }
  back = http
    .createServer((_, response) => response.end("the client has it"))
    .listen(0, "127.0.0.1");
  await new Promise((resolve) => back.once("listening", resolve));
  callback = `http://127.0.0.1:${(back.address() as AddressInfo).port}/callback`;
  const made = await fetch(`${edge.url}/oauth/register`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      ...{ client_name: "Desk", redirect_uris: [callback], token_endpoint_auth_method: "none" },
    }),
  });
  ({ client_id: clientId } = (await made.json()) as { client_id: string });
});
afterAll(async () => {
  back?.close();
  await edge?.stop();
});

const nowS = () => Math.floor(Date.now() / 1000);
const assertion = (claims: JWTPayload = {}, key = real.privateKey, kid = "one") =>
  new SignJWT({
    ...{ iss: team, aud: [audience], email: "ada@example.com", iat: nowS(), exp: nowS() + 600 },
    ...claims,
  })
    .setProtectedHeader({ alg: "RS256", kid })
    .sign(key);
const header = "cf-access-jwt-assertion";
const as = async (claims: JWTPayload = {}) => new Browser({ [header]: await assertion(claims) });

const { verifier, challenge } = pkce();
function authorizeUrl(): URL {
  const url = new URL("/oauth/authorize", edge.url);
  url.search = new URLSearchParams({
    ...{ response_type: "code", client_id: clientId, redirect_uri: callback, state: "s" },
    ...{ code_challenge: challenge, code_challenge_method: "S256" },
  }).toString();
  return url;
}
async function tokenOf(to: URL): Promise<string> {
  const response = await fetch(`${edge.url}/oauth/token`, {
    method: "POST",
    body: new URLSearchParams({
      ...{ grant_type: "authorization_code", code: to.searchParams.get("code") ?? "" },
      ...{ code_verifier: verifier, redirect_uri: callback, client_id: clientId },
    }),
  });
  const body = (await response.json()) as { access_token: string };
  expect(response.status, JSON.stringify(body)).toBe(200);
  return body.access_token;
}
const statusWith = async (token: string): Promise<number> => {
  const response = await fetch(`${edge.url}/mcp`, {
    method: "POST",
    headers: {
      ...{ authorization: `Bearer ${token}`, "content-type": "application/json" },
      accept: "application/json, text/event-stream",
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: {} }),
  });
  await response.text();
  return response.status;
};

test("whom Access vouches for shows no key: the setting says with which they act", async () => {
  const { to, pages } = await agree(await as({ email: "Ada@Example.com" }), authorizeUrl(), {});
  expect(pages[0]?.form).toMatchObject({ asksForKey: false, scopes: ["infer", "search"] });
  expect(pages[0]?.html).toContain("ada@example.com");
  expect(await statusWith(await tokenOf(to))).toBe(200);
  const grants = await (await edge.call("/v1/grants", { key: shared.key })).json();
  expect(grants).toMatchObject({
    grants: [{ key_id: shared.id, person: "ada@example.com", proof: "access" }],
  });
});

test("whoever the setting does not name pastes a key, and is known by both", async () => {
  const browser = await as({ email: "bob@elsewhere.example" });
  const { to, pages } = await agree(browser, authorizeUrl(), { key: own.key });
  expect(pages[0]?.form.asksForKey).toBe(true);
  expect(await statusWith(await tokenOf(to))).toBe(200);
  const grants = await (await edge.call("/v1/grants", { key: own.key })).json();
  expect(grants).toMatchObject({ grants: [{ person: "bob@elsewhere.example", proof: "key" }] });
});

test("a grant by Access ends when its person acts with another key", async () => {
  const { to } = await agree(await as(), authorizeUrl(), {});
  const token = await tokenOf(to);
  expect(await statusWith(token)).toBe(200);
  await edge.worker.db
    .prepare("UPDATE oauth_grants SET person = ? WHERE id = ?")
    .bind("carol@elsewhere.example", token.split(":")[0])
    .run();
  expect(await statusWith(token)).toBe(401);
});

describe("an assertion that is none: nobody is asked, and no key is taken", () => {
  test.each([
    ["none at all", () => undefined],
    ["no token", () => "x.y.z"],
    ["for another application", () => assertion({ aud: ["another"] })],
    ["of another team", () => assertion({ iss: "https://evil.cloudflareaccess.com" })],
    ["that is over", () => assertion({ iat: nowS() - 700, exp: nowS() - 60 })],
    ["not good yet", () => assertion({ nbf: nowS() + 600 })],
    ["signed by another's key", () => assertion({}, other.privateKey)],
    ["with a key that the team has not", () => assertion({}, other.privateKey, "two")],
    ["of a service, not a person", () => assertion({ email: undefined, common_name: "robot" })],
  ])("%s", async (_, made) => {
    const text = await made();
    const browser = new Browser(text === undefined ? {} : { [header]: text });
    const { response } = await browser.open(authorizeUrl());
    expect(response.status).toBe(403);
    const posted = await browser.send(`${edge.url}/oauth/authorize`, [["decision", "allow"]]);
    expect(posted.response.status).toBe(403);
  });

  test("one that is signed with the public key as a secret, or not at all", async () => {
    const secret = new TextEncoder().encode(JSON.stringify(await exportJWK(real.publicKey)));
    const claims = { iss: team, aud: audience, email: "ada@example.com" };
    const hashed = await new SignJWT(claims)
      .setProtectedHeader({ alg: "HS256", kid: "one" })
      .setIssuedAt()
      .setExpirationTime("10m")
      .sign(secret);
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const bare = `${part({ alg: "none" })}.${part({ ...claims, exp: nowS() + 600, iat: nowS() })}.`;
    for (const text of [hashed, bare]) {
      const { response } = await new Browser({ [header]: text }).open(authorizeUrl());
      expect(response.status).toBe(403);
    }
  });
});

test("the form of one person is not answered by another, nor with a key that is over", async () => {
  const ada = await as();
  const { form } = await ada.open(authorizeUrl());
  const eve = await as({ email: "eve@example.com" });
  for (const [name, value] of ada.cookies) eve.cookies.set(name, value);
  const fields = [
    ...Object.entries(form.hidden),
    ["decision", "allow"],
    ["scope", "infer"],
  ] as const;
  const answered = await eve.send(`${edge.url}/oauth/authorize`, fields);
  expect([answered.response.status, answered.response.headers.get("location")]).toEqual([
    400,
    null,
  ]);
  const gone = await (await as({ email: "gone@example.com" })).open(authorizeUrl());
  expect([gone.response.status, gone.form.scopes]).toEqual([400, []]);
});

if (browserIsMissing !== undefined) {
  console.log(`The pages of OAuth are not tested in a browser: ${browserIsMissing}.`);
}

describe.skipIf(browserIsMissing !== undefined)("in a browser", () => {
  let browser: RealBrowser;
  beforeAll(async () => {
    browser = await startBrowser();
  });
  afterAll(async () => {
    await browser?.close();
  });

  test.each(["light", "dark"] as const)(
    "by keyboard, %s: both pages pass axe, and the client is reached",
    async (colorScheme) => {
      const { page, complaints, hosts } = await openPage(browser, authorizeUrl().href, {
        ...{ colorScheme, viewport: { width: 320, height: 640 } },
        extraHTTPHeaders: { [header]: await assertion({ email: "bob@elsewhere.example" }) },
      });
      const script = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
      const axe = await readFile(script, "utf8");
      const faults = async () => {
        await page.evaluate(axe);
        return page.evaluate(async () => {
          const run = (globalThis as unknown as { axe: { run(): Promise<AxeResults> } }).axe.run();
          const { violations } = await run;
          return violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html ?? ""}`);
        });
      };
      expect(await faults()).toEqual([]);
      await page.keyboard.press("Tab");
      await page.keyboard.type("b2e_wrong");
      await page.keyboard.press("Enter");
      await page.getByRole("alert").waitFor();
      expect(await faults()).toEqual([]);
      await page.getByLabel("API key").fill(own.key);
      await page.keyboard.press("Enter");
      await page.getByRole("button", { name: "Allow" }).waitFor();
      expect(await faults()).toEqual([]);
      expect(await page.getByRole("checkbox").count()).toBe(2);
      await page.getByRole("button", { name: "Allow" }).press("Enter");
      await page.getByText("the client has it").waitFor();
      expect(await statusWith(await tokenOf(new URL(page.url())))).toBe(200);
      // A page that is answered 400 is told of on the console, and nothing else is.
      expect(complaints.filter((text) => !/status of 400/.test(text))).toEqual([]);
      expect([...hosts].toSorted()).toEqual(
        [new URL(edge.url).host, new URL(callback).host].toSorted(),
      );
    },
  );
});
