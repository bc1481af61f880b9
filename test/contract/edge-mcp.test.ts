// /mcp on the Worker before a scripted node, through two instances that share their bindings: the SDK's
// clients of both generations, keys, hosts and origins, the cache, what a tool does while it works, attacks.
import http from "node:http";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { Client as V1Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as V1Transport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createApiKey } from "../../edge/src/auth/api-key.ts";
import { createClient } from "@blip2-edge/shared/client";
import { expectProblem, startEdge, type Edge } from "../support/edge.ts";
import { testMcpAttacks } from "../support/mcp-attack-suite.ts";
import { testMcpWork } from "../support/mcp-work-suite.ts";
import { png } from "../support/pictures.ts";

let edge: Edge;
/** Keys that may do everything, of either tenant. */
const all = { ada: "", bob: "" };
const operator = `b2e_operator_${"7x".repeat(16)}`;
const picture = await png(131_000);
beforeAll(async () => {
  edge = await startEdge({
    instances: 2,
    vars: { OPERATOR_KEYS: operator },
    internet: () =>
      new Response(new Uint8Array(picture), { headers: { "content-type": "image/png" } }),
  });
  for (const tenant of ["ada", "bob"] as const) {
    all[tenant] = (await createApiKey()).key;
    await edge.worker.putKey({
      ...{ key: all[tenant], tenant, name: "all", scopes: ["infer", "search", "index"] },
    });
  }
});
afterAll(() => edge?.stop());

const url = "https://pictures.example/boots.png";
const at = (instance: number): URL => new URL("/mcp", edge.worker.urls[instance]);
const bearer = (key: string) => ({ requestInit: { headers: { authorization: `Bearer ${key}` } } });

async function v2(instance = 0, key = edge.ada): Promise<Client> {
  const client = new Client(
    { name: "test", version: "1" },
    { versionNegotiation: { mode: "auto" } },
  );
  await client.connect(new StreamableHTTPClientTransport(at(instance), bearer(key)));
  return client;
}
async function v1(instance = 0, key = edge.ada): Promise<V1Client> {
  const client = new V1Client({ name: "test", version: "1" });
  await client.connect(new V1Transport(at(instance), bearer(key)));
  return client;
}
const post = (body: unknown, headers: Record<string, string> = {}, key: string | null = edge.ada) =>
  edge.call("/mcp", {
    ...{ method: "POST", key, body: typeof body === "string" ? body : JSON.stringify(body) },
    headers: {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      ...headers,
    },
  });
const list = { jsonrpc: "2.0", id: 1, method: "tools/list", params: {} };

describe("clients of both generations list the tools and complete each, and the second time no node is asked", () => {
  const calls = [
    { name: "caption_image", arguments: { images: [url] } },
    { name: "ask_image", arguments: { image: url, questions: ["what is it?", "how many?"] } },
    { name: "match_image_text", arguments: { image: url, texts: ["boots", "a hat"] } },
    { name: "match_image_text", arguments: { image: url, labels: ["boots", "hat"] } },
  ];
  let first: unknown[] = [];

  test("v2, through the first instance", async () => {
    const client = await v2();
    expect(client.getNegotiatedProtocolVersion()).toBe("2026-07-28");
    expect((await client.listTools()).tools).toHaveLength(6);
    const before = edge.node.inferences();
    for (const call of calls) {
      const { isError, structuredContent } = await client.callTool(call);
      expect(isError ?? false).toBe(false);
      first.push(structuredContent);
    }
    expect(edge.node.inferences() - before).toBeGreaterThan(0);
    await client.close();
  });

  test("v1, through the second: the same answers, none inferred", async () => {
    const client = await v1(1);
    expect((await client.listTools()).tools).toHaveLength(6);
    const before = edge.node.inferences();
    for (const [index, call] of calls.entries()) {
      const { structuredContent } = await client.callTool(call);
      expect(structuredContent).toEqual(first[index]);
    }
    expect(edge.node.inferences() - before).toBe(0);
    await client.close();
  });
});

test("without a valid key nothing is said, and the challenge is made", async () => {
  const response = await post(list, {}, null);
  expect(response.headers.get("www-authenticate")).toMatch(/^Bearer/);
  await expectProblem(response, "unauthorized");
  await expectProblem(await post(list, {}, "b2e_nobody"), "unauthorized");
});

test("a key without the scope hears so from the tool", async () => {
  const { key } = await createApiKey();
  await edge.worker.putKey({ key, tenant: "ada", name: "jobs only", scopes: ["jobs"] });
  const client = await v2(0, key);
  const { isError, content } = await client.callTool({
    ...{ name: "caption_image", arguments: { images: [url] } },
  });
  expect(isError).toBe(true);
  expect(JSON.stringify(content)).toMatch(/lacks the scope `infer`/);
  await client.close();
});

test("an image_id of one tenant is unknown to another", async () => {
  const { image_id } = (await (await edge.upload("/v1/caption", await png(131_001))).json()) as {
    image_id: string;
  };
  const [ada, bob] = [await v2(), await v2(0, edge.bob)];
  const call = { name: "caption_image", arguments: { images: [image_id] } };
  expect((await ada.callTool(call)).isError ?? false).toBe(false);
  const refused = await bob.callTool(call);
  expect(refused.isError).toBe(true);
  expect(JSON.stringify(refused.content)).toContain("image_not_found");
  await Promise.all([ada.close(), bob.close()]);
});

test("foreign hosts and origins are refused before the key is looked at", async () => {
  await expectProblem(await post(list, { origin: "https://evil.example" }), "forbidden");
  await expectProblem(await post(list, { origin: "https://evil.example" }, null), "forbidden");
  await expectProblem(await post(list, { origin: "null" }), "forbidden");
  const own = await post(list, { origin: "http://localhost:3000" });
  expect(own.status).toBe(200);
  await own.text();
});

test("so is a foreign Host, as DNS rebinding sends it", async () => {
  const statusFor = (host: string): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const headers = {
        host,
        authorization: `Bearer ${edge.ada}`,
        "content-type": "application/json",
      };
      http
        .request(at(0), { method: "POST", headers }, (response) => {
          response.resume();
          resolve(response.statusCode);
        })
        .on("error", reject)
        .end(JSON.stringify(list));
    });
  expect(await statusFor("evil.example")).toBe(403);
  expect(await statusFor("127.0.0.1.evil.example:8787")).toBe(403);
  expect(await statusFor("localhost:8787")).not.toBe(403);
});

test("what is no message, too long, or another method is refused", async () => {
  await expectProblem(await post("x".repeat(1_100_000)), "body_too_large");
  expect((await post("{")).status).toBe(400);
  expect((await post(list, { "content-type": "text/plain" })).status).toBe(415);
  await expectProblem(await edge.call("/mcp"), "method_not_allowed");
});

test("what is indexed is found, by its tenant alone", async () => {
  const [ada, bob] = [await v2(0, all.ada), await v1(1, all.bob)];
  const put = await ada.callTool({
    ...{ name: "index_image", arguments: { image: url, id: "boots-1", title: "Boots" } },
  });
  expect(put.structuredContent, JSON.stringify(put.content)).toMatchObject({ id: "boots-1" });
  const search = { name: "search_images", arguments: { image: url } };
  const { structuredContent } = await ada.callTool(search);
  expect(structuredContent).toMatchObject({ hits: [{ id: "boots-1" }], no_match: false });
  expect((await bob.callTool(search)).structuredContent).toMatchObject({ hits: [] });
  const unscoped = await v2();
  const refused = await unscoped.callTool(search);
  expect(JSON.stringify(refused.content)).toMatch(/lacks the scope `search`/);
  await Promise.all([ada.close(), bob.close(), unscoped.close()]);
});

test("resources and completions come from what the tenant has", async () => {
  const client = await v2(0, all.ada);
  const image = `${url}?resource`;
  for (const id of ["r1", "r2"]) {
    const record = { image, namespace: "shelf", id, title: `Title ${id}` };
    await client.callTool({ name: "index_image", arguments: record });
  }
  // The name is written down behind the answer.
  await expect
    .poll(async () => (await client.listResources()).resources.map(({ uri }) => uri))
    .toContain("image://shelf");
  const { contents } = await client.readResource({ uri: "image://shelf" });
  expect(JSON.parse((contents[0] as { text: string }).text)).toMatchObject({
    pictures: [
      { id: "r2", title: "Title r2" },
      { id: "r1", title: "Title r1" },
    ],
  });
  const ref = { type: "ref/resource", uri: "image://{namespace}" } as const;
  const begun = async (value: string, key: string): Promise<string[]> => {
    const own = await v1(1, key);
    const { completion } = await own.complete({ ref, argument: { name: "namespace", value } });
    await own.close();
    return completion.values;
  };
  expect(await begun("shel", all.ada)).toEqual(["shelf"]);
  expect(await begun("shel", all.bob)).toEqual([]);
  const bob = await v1(1, all.bob);
  expect((await bob.listResources()).resources).toEqual([]);
  const theirs = await bob.readResource({ uri: "image://shelf" });
  expect(JSON.parse((theirs.contents[0] as { text: string }).text)).toMatchObject({ pictures: [] });
  await Promise.all([client.close(), bob.close()]);
});

test("a message counts once against the rate, and so does each further request that it leads to", async () => {
  const { key } = await createClient({ url: edge.url, key: operator }).keyCreate({
    ...{ name: "few", tenant: "ada", limits: { requests_per_minute: 20 } },
  });
  const left = async (method: string, params: object): Promise<number> => {
    const response = await post({ jsonrpc: "2.0", id: 1, method, params }, {}, key);
    expect(await response.text()).not.toMatch(/isError":true/);
    return Number(/"rate";r=(\d+)/.exec(response.headers.get("ratelimit") ?? "")?.[1]);
  };
  const caption = (images: string[]) => ({ name: "caption_image", arguments: { images } });
  expect(await left("tools/list", {})).toBe(19);
  await left("tools/call", caption([url]));
  expect(await left("tools/list", {})).toBe(17);
  await left("tools/call", caption([url, `${url}?2`, `${url}?3`]));
  expect(await left("tools/list", {})).toBe(13);
  const models = {
    ref: { type: "ref/prompt", name: "alt_text" },
    argument: { name: "model", value: "" },
  };
  await left("completion/complete", models);
  expect(await left("tools/list", {})).toBe(11);
});

testMcpWork(() => ({ edge, key: all.ada, picture: url }));
testMcpAttacks(() => ({ edge, key: all.ada, foreignKey: all.bob, picture: url }));
