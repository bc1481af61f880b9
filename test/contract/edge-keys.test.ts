// Keys through the API: who may make, see and change which, what a scope allows, how a secret is replaced.
import { spawn } from "node:child_process";
import path from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createClient, type Client } from "@blip2-edge/shared/client";
import type { CreateKeyRequest, KeyWithSecret } from "@blip2-edge/shared/contracts/keys";
import { routeList, type RouteId } from "@blip2-edge/shared/routes";
import { expectProblem, startEdge, type Edge } from "../support/edge.ts";

const operatorKey = `b2e_operator_${"7x".repeat(16)}`;
let edge: Edge;
let operator: Client;
const clientOf = (key: string) => createClient({ url: edge.url, key });
/** An admin of this tenant, made by the operator. */
const adminOf = (tenant: string) =>
  operator.keyCreate({ name: "admin", tenant, scopes: ["admin", "infer"] });
let ada: KeyWithSecret;
let bob: KeyWithSecret;

beforeAll(async () => {
  edge = await startEdge({ vars: { OPERATOR_KEYS: operatorKey, KEY_TTL_MS: "30000" } });
  operator = clientOf(operatorKey);
  [ada, bob] = [await adminOf("ada"), await adminOf("bob")];
});
afterAll(() => edge?.stop());

const make = (request: Omit<CreateKeyRequest, "name"> = {}) =>
  clientOf(ada.key).keyCreate({ name: "test", ...request });

describe("who may what", () => {
  test("the operator makes keys for any tenant, names the tenant, and does nothing else", async () => {
    const missing = await edge.json("/v1/keys", { name: "a" }, operatorKey);
    expect((await expectProblem(missing, "invalid_request", "keyCreate")).errors).toMatchObject([
      { field: "tenant" },
    ]);
    const all = new Set((await operator.keyList({})).keys.map(({ tenant }) => tenant));
    expect([...all].toSorted()).toEqual(["ada", "bob"]);
    const ofBob = await operator.keyList({ tenant: "bob" });
    expect(ofBob.keys.every(({ tenant }) => tenant === "bob")).toBe(true);
    const models = await edge.call("/v1/models", { key: operatorKey });
    await expectProblem(models, "forbidden", "models");
  });

  test("an admin key manages its own tenant's keys and sees no other's", async () => {
    const mine = await make();
    expect(mine).toMatchObject({ tenant: "ada", scopes: ["infer"] });
    const theirs = clientOf(bob.key);
    for (const attempt of [
      () => theirs.keyRead({ id: mine.id }),
      () => theirs.keyUpdate({ id: mine.id, name: "taken" }),
      () => theirs.keyRotate({ id: mine.id }),
      () => theirs.keyRevoke({ id: mine.id }),
      () => theirs.usage({ key_id: mine.id }),
    ]) {
      await expect(attempt()).rejects.toMatchObject({ code: "not_found" });
    }
    const listed = (await theirs.keyList({})).keys.map(({ id }) => id);
    expect(listed).not.toContain(mine.id);
    for (const attempt of [
      () => theirs.keyCreate({ name: "a", tenant: "ada" }),
      () => theirs.keyList({ tenant: "ada" }),
      () => theirs.usage({ tenant: "ada" }),
    ]) {
      await expect(attempt()).rejects.toMatchObject({ code: "forbidden" });
    }
    expect((await clientOf(ada.key).keyRead({ id: mine.id })).name).toBe("test");
  });

  test("each route wants the scope that the table names; the answer names it, the log knows the rest", async () => {
    const none = await make({ scopes: ["search"] });
    for (const { method, path, scope, id } of routeList) {
      if (scope === null || scope === "any" || scope === "search") continue;
      const response = await edge.call(path.replace("{id}", "x"), { method, key: none.key });
      const problem = await expectProblem(response, "forbidden", id as RouteId);
      expect(problem.detail).toContain(`\`${scope}\``);
      expect(edge.lastEvent()).toMatchObject({
        key_id: none.id,
        internal: `${none.id} has search`,
      });
    }
  });
});

describe("a key's life", () => {
  test("its secret is in one answer only, never in the log", async () => {
    const made = await make({
      limits: { concurrency: 3 },
      fetch_allow: ["*.example.com", "a.org:443"],
    });
    expect((await edge.call("/v1/models", { key: made.key })).status).toBe(200);
    const secret = made.key.slice(17);
    const client = clientOf(ada.key);
    const told = [await client.keyList({}), await client.keyRead({ id: made.id })];
    expect(JSON.stringify(told)).not.toContain(secret);
    expect(edge.lines.filter((line) => line.includes(secret))).toEqual([]);
    expect(edge.events.some((event) => event["subject_key_id"] === made.id)).toBe(true);
    expect((await client.keyRead({ id: made.id })).last_used_at).not.toBeNull();
  });

  test("rotation: both secrets work for the overlap, without one the old ends at once", async () => {
    const made = await make();
    const client = clientOf(ada.key);
    const status = async (key: string) => (await edge.call("/v1/models", { key })).status;
    expect(await status(made.key)).toBe(200);
    const second = await client.keyRotate({ id: made.id, overlap_s: 3600 });
    expect(second.id).toBe(made.id);
    expect([await status(made.key), await status(second.key)]).toEqual([200, 200]);
    const third = await client.keyRotate({ id: made.id, overlap_s: 0 });
    expect([await status(made.key), await status(second.key), await status(third.key)]).toEqual([
      401, 401, 200,
    ]);
  });

  test("revoked: refused at once here, listed on, and in the words of every other 401", async () => {
    const made = await make();
    const client = clientOf(ada.key);
    const revoked = await client.keyRevoke({ id: made.id });
    expect(revoked.revoked_at).not.toBeNull();
    const refused = await edge.call("/v1/models", { key: made.key });
    const other = await edge.call("/v1/models", { key: "nonsense" });
    expect(await refused.text()).toBe(await other.text());
    const listed = (await client.keyList({})).keys.find(({ id }) => id === made.id);
    expect(listed?.revoked_at).toBe(revoked.revoked_at);
  });

  test("an update is seen at once, and a scope that is taken away is gone", async () => {
    const made = await make();
    const client = clientOf(ada.key);
    expect((await edge.call("/v1/models", { key: made.key })).status).toBe(200);
    await client.keyUpdate({ id: made.id, scopes: ["search"], limits: { concurrency: 1 } });
    const refused = await edge.call("/v1/models", { key: made.key });
    await expectProblem(refused, "forbidden", "models");
  });
});

/** `blip2-edge` from source, as a person runs it. */
async function blip2Edge(key: string, ...args: readonly string[]) {
  const main = path.resolve(import.meta.dirname, "../../mcp-server/src/cli/main.ts");
  const child = spawn(process.execPath, [main, ...args], {
    env: { PATH: process.env["PATH"], BLIP2_URL: edge.url, BLIP2_API_KEY: key },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exit = new Promise<number | null>((resolve) => child.on("exit", resolve));
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { status: await exit, out: out.trimEnd(), err };
}

test("the command line: a key made, listed, rotated, revoked; exit 1 for what the API refuses", async () => {
  const made = await blip2Edge(ada.key, "keys", "create", "--name", "cli", "--concurrency", "2");
  expect(made).toMatchObject({ status: 0, out: expect.stringMatching(/^b2e_\S+$/) });
  const id = made.out.slice(4, 16);
  const listed = await blip2Edge(ada.key, "keys", "list", "--json");
  const keys = listed.out.split("\n").map((line) => JSON.parse(line) as KeyWithSecret);
  expect(keys.find((key) => key.id === id)).toMatchObject({
    name: "cli",
    limits: { concurrency: 2 },
  });
  const rotated = await blip2Edge(ada.key, "keys", "rotate", id, "--overlap", "0");
  expect((await edge.call("/v1/models", { key: rotated.out })).status).toBe(200);
  expect((await edge.call("/v1/models", { key: made.out })).status).toBe(401);
  expect((await blip2Edge(ada.key, "keys", "revoke", id)).status).toBe(0);
  expect((await edge.call("/v1/models", { key: rotated.out })).status).toBe(401);
  const refused = await blip2Edge(made.out, "keys", "list");
  expect(refused).toMatchObject({ status: 1, out: "", err: expect.stringContaining("API key") });
  expect(await blip2Edge(ada.key, "keys", "mend")).toMatchObject({ status: 2, out: "" });
});

describe("400, 404 and 405", () => {
  test.each([
    ["POST", "/v1/keys", {}, "`name` is missing."],
    ["POST", "/v1/keys", { name: "a", scope: "infer" }, /`scope` is an unknown field/],
    ["POST", "/v1/keys", { name: "a", scopes: ["root"] }, /`scopes\[0\]` must be infer or index/],
    ["POST", "/v1/keys", { name: "a", scopes: [] }, /`scopes` must have at least 1/],
    ["POST", "/v1/keys", { name: "a", limits: { concurrency: 0 } }, /`limits.concurrency` must be/],
    ["POST", "/v1/keys", { name: "a", expires_at: "soon" }, /`expires_at` must be a time/],
    [
      "POST",
      "/v1/keys",
      { name: "a", fetch_allow: ["http://x"] },
      /`fetch_allow\[0\]` must be a host/,
    ],
    ["POST", "/v1/keys/abc/rotate", { overlap_s: -1 }, /`overlap_s` must be at least 0/],
    ["PATCH", "/v1/keys/abc", { id: "abd" }, "`id` stands in the path already."],
    ["GET", "/v1/keys?cursor=x", undefined, /`cursor` must be the cursor/],
    ["GET", "/v1/usage?from=2030-02-30", undefined, /`from` must be a day/],
    ["GET", "/v1/usage?from=2030-02-02&to=2030-02-01", undefined, /is after/],
    ["GET", "/v1/usage?from=2020-01-01&to=2030-02-01", undefined, /more than 400 days/],
  ] as const)("%s %s %j", async (method, path, body, detail) => {
    const response = await edge.call(path, {
      method,
      key: ada.key,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
    });
    const problem = await expectProblem(response, "invalid_request");
    if (typeof detail === "string") expect(problem.detail).toBe(detail);
    else expect(problem.detail).toMatch(detail);
  });

  test("an id of nobody's, a path that is no key, a method that is not served, a body that is not JSON", async () => {
    const nobody = await edge.call("/v1/keys/nobody", { key: ada.key });
    await expectProblem(nobody, "not_found", "keyRead");
    await expectProblem(await edge.call("/v1/keys/a/b", { key: ada.key }), "not_found");
    const put = await edge.call("/v1/keys/a", { method: "PUT", key: ada.key });
    expect(put.headers.get("allow")).toBe("GET, PATCH, DELETE");
    await expectProblem(put, "method_not_allowed");
    const text = { method: "POST", key: ada.key, body: "name=a" };
    await expectProblem(await edge.call("/v1/keys", text), "unsupported_media_type", "keyCreate");
  });
});
