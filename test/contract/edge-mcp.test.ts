// /mcp on the Worker before a scripted node, through two instances that share their bindings: the SDK's
// clients of both generations, keys, hosts and origins, the cache, and what a caller that leaves ends.
import http from "node:http";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { Client as V1Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as V1Transport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createApiKey } from "../../edge/src/auth/api-key.ts";
import { expectProblem, startEdge, type Edge } from "../support/edge.ts";
import { png } from "../support/pictures.ts";

let edge: Edge;
const picture = await png(131_000);
beforeAll(async () => {
  edge = await startEdge({
    instances: 2,
    internet: () =>
      new Response(new Uint8Array(picture), { headers: { "content-type": "image/png" } }),
  });
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

test("private addresses are refused in every image argument", async () => {
  const { key } = await createApiKey();
  await edge.worker.putKey({
    key,
    tenant: "ada",
    name: "all",
    scopes: ["infer", "search", "index"],
  });
  const client = await v2(0, key);
  const image = "http://169.254.169.254/latest/meta-data";
  // An empty namespace has no match, whatever is asked: then the picture is not looked at.
  const namespace = "attacked";
  await client.callTool({ name: "index_image", arguments: { image: url, namespace, id: "own" } });
  for (const call of [
    { name: "caption_image", arguments: { images: [image] } },
    { name: "ask_image", arguments: { image, questions: ["x"] } },
    { name: "match_image_text", arguments: { image, texts: ["x"] } },
    { name: "match_image_text", arguments: { image, labels: ["x"] } },
    { name: "search_images", arguments: { image, namespace } },
    { name: "index_image", arguments: { image, namespace, id: "x" } },
  ]) {
    const { isError, content } = await client.callTool(call);
    expect(isError).toBe(true);
    expect(JSON.stringify(content)).toContain("url_refused");
  }
  await client.close();
});

test("what is no message, too long, or another method is refused", async () => {
  await expectProblem(await post("x".repeat(1_100_000)), "body_too_large");
  expect((await post("{")).status).toBe(400);
  expect((await post(list, { "content-type": "text/plain" })).status).toBe(415);
  await expectProblem(await edge.call("/mcp"), "method_not_allowed");
});

test("a caller that leaves ends the work of the node", async () => {
  const client = await v2();
  const before = edge.node.abandoned();
  edge.node.failNext({ kind: "wait", ms: 30_000 });
  const gone = new AbortController();
  const asked = edge.node.asked.length;
  const calling = client.callTool(
    { name: "ask_image", arguments: { image: url, questions: ["who leaves?"] } },
    { signal: gone.signal },
  );
  const ended = expect(calling).rejects.toThrow();
  await expect.poll(() => edge.node.asked.length).toBeGreaterThan(asked);
  gone.abort();
  await ended;
  await expect.poll(() => edge.node.abandoned(), { timeout: 10_000 }).toBeGreaterThan(before);
  await client.close();
});

test("what is indexed is found, by its tenant alone; a tampered cursor is refused; progress is told over HTTP", async () => {
  const { key } = await createApiKey();
  await edge.worker.putKey({
    key,
    tenant: "ada",
    name: "all",
    scopes: ["infer", "search", "index"],
  });
  const { key: foreign } = await createApiKey();
  await edge.worker.putKey({
    key: foreign,
    tenant: "bob",
    name: "bob",
    scopes: ["infer", "search"],
  });
  const [ada, bob] = [await v2(0, key), await v1(1, foreign)];
  const told: number[] = [];
  const put = await ada.callTool(
    { name: "index_image", arguments: { image: url, id: "boots-1", title: "Boots" } },
    { onprogress: ({ progress }) => void told.push(progress) },
  );
  expect(put.structuredContent, JSON.stringify(put.content)).toMatchObject({ id: "boots-1" });
  expect(told).toEqual([0, 1]);
  const search = { name: "search_images", arguments: { image: url } };
  const { structuredContent } = await ada.callTool(search);
  expect(structuredContent).toMatchObject({ hits: [{ id: "boots-1" }], no_match: false });
  expect((await bob.callTool(search)).structuredContent).toMatchObject({ hits: [] });
  const tampered = await ada.callTool({
    ...{ name: "search_images", arguments: { image: url, cursor: "eyJvZmZzZXQiOi0xfQ" } },
  });
  expect(tampered.isError).toBe(true);
  const unscoped = await v2();
  const refused = await unscoped.callTool(search);
  expect(JSON.stringify(refused.content)).toMatch(/lacks the scope `search`/);
  await Promise.all([ada.close(), bob.close(), unscoped.close()]);
});

test("the trace goes from the agent's call to the node", async () => {
  const traceId = "5a".repeat(16);
  const client = await v2();
  await client.callTool({
    name: "ask_image",
    arguments: { image: url, questions: ["what is traced?"] },
    _meta: { traceparent: `00-${traceId}-${"cd".repeat(8)}-01` },
  });
  expect(edge.node.traceparents.at(-1)).toContain(traceId);
  await client.close();
});
