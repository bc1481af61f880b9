// `blip2-edge mcp` as a host starts it: a process of its own, before an API that is scripted.
import { mkdtemp, mkdir, realpath, rm, symlink, writeFile } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { Client as V1Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport as V1Transport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { ListRootsRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { afterAll, beforeAll, expect, test } from "vitest";

const png = Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 1, 2, 3]);
const answer = {
  ...{
    text: "an owl",
    image_id: `img_${"a".repeat(64)}`,
    model: "m",
    model_revision: "0".repeat(16),
  },
  ...{ log_prob: -0.1, finish_reason: "stop" },
  usage: { image_tokens: 1, prompt_tokens: 1, completion_tokens: 1 },
};
let home: string;
let api: http.Server;
let url: string;
let uploads = 0;
/** Hears of the next request instead of an answer, and of its end. */
let hold: { asked(): void; left(): void } | undefined;
beforeAll(async () => {
  home = await realpath(await mkdtemp(path.join(os.tmpdir(), "blip2-mcp-")));
  for (const folder of ["allowed", "root", "other"]) {
    await mkdir(path.join(home, folder));
    await writeFile(path.join(home, folder, "owl.png"), png);
  }
  await symlink(home, path.join(home, "allowed/up"));
  await symlink(path.join(home, "other"), path.join(home, "allowed/pictures"));
  await symlink(path.join(home, "other/owl.png"), path.join(home, "allowed/link.png"));
  api = http.createServer((request, response) => {
    if (hold !== undefined) {
      hold.asked();
      response.on("close", hold.left);
      return;
    }
    uploads += Number(request.headers["content-type"]?.startsWith("multipart/form-data"));
    request.resume().on("end", () => {
      response.setHeader("content-type", "application/json").end(JSON.stringify(answer));
    });
  });
  await new Promise<void>((resolve) => api.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(api.address() as AddressInfo).port}`;
});
afterAll(async () => {
  api?.close();
  await rm(home, { recursive: true, force: true });
});

const command = () => ({
  command: process.execPath,
  args: [path.join(import.meta.dirname, "main.ts"), "mcp", "--allow", path.join(home, "allowed")],
  env: { BLIP2_URL: url, BLIP2_API_KEY: "b2e_test" },
});
const call = (folder: string) => ({
  name: "caption_image",
  arguments: { images: [path.join(home, folder, "owl.png")] },
});

test("the current revision: files in allowed folders are sent, others are not", async () => {
  const client = new Client(
    { name: "test", version: "1" },
    { versionNegotiation: { mode: "auto" } },
  );
  await client.connect(new StdioClientTransport(command()));
  expect((await client.listTools()).tools).toHaveLength(6);
  const read = await client.callTool(call("allowed"));
  expect(read.structuredContent).toMatchObject({ captions: [{ caption: "an owl" }] });
  expect(uploads).toBe(1);
  const refused = await client.callTool(call("root"));
  expect(refused.isError).toBe(true);
  expect(JSON.stringify(refused.content)).toContain("--allow");
  expect(uploads).toBe(1);
  await client.close();
});

test("no way that we know leads out of an allowed folder, and one refusal says nothing of what is there", async () => {
  const client = new Client({ name: "test", version: "1" });
  await client.connect(new StdioClientTransport(command()));
  const allowed = path.join(home, "allowed");
  const other = path.join(home, "other/owl.png");
  const fileUrl = pathToFileURL(allowed).href;
  const attacks = [
    `${allowed}/../other/owl.png`,
    "../other/owl.png",
    "up/other/owl.png",
    `${allowed}/pictures/owl.png`,
    "link.png",
    `/proc/self/root${other}`,
    `/proc/${process.pid}/root${other}`,
    `${allowed}/up/../other/owl.png`,
    `${fileUrl}/%2e%2e/other/owl.png`,
    `${fileUrl}/..%2fother/owl.png`,
    "%2e%2e/other/owl.png",
    "..\\other\\owl.png",
    `${path.join(home, "ALLOWED")}/owl.png`,
    `file://localhost${other}`,
    `${allowed}/owl.png/../../other/owl.png`,
  ];
  const before = uploads;
  const result = await client.callTool({
    ...{ name: "caption_image", arguments: { images: ["owl.png", ...attacks] } },
  });
  const { captions } = result.structuredContent as { captions: Record<string, string>[] };
  expect(captions[0]).toMatchObject({ caption: "an owl" });
  const problems = new Set(captions.slice(1).map(({ problem }) => problem));
  expect([...problems]).toEqual([expect.stringMatching(/^No picture that may be read is at this/)]);
  expect(captions.slice(1).every(({ caption }) => caption === undefined)).toBe(true);
  expect(uploads - before).toBe(1);
  await client.close();
});

test("an older one: the host's roots are allowed too, and nothing beyond", async () => {
  const client = new V1Client({ name: "test", version: "1" }, { capabilities: { roots: {} } });
  client.setRequestHandler(ListRootsRequestSchema, () => ({
    roots: [{ uri: pathToFileURL(path.join(home, "root")).href }],
  }));
  await client.connect(new V1Transport(command()));
  const before = uploads;
  expect((await client.callTool(call("root"))).isError ?? false).toBe(false);
  expect((await client.callTool(call("other"))).isError).toBe(true);
  expect(uploads - before).toBe(1);
  await client.close();
});

const connected = {
  "the current revision": async () => {
    const client = new Client(
      { name: "test", version: "1" },
      { versionNegotiation: { mode: "auto" } },
    );
    await client.connect(new StdioClientTransport(command()));
    const ask = (signal: AbortSignal) => client.callTool(call("allowed"), { signal });
    return { ask, close: () => client.close() };
  },
  "an older one": async () => {
    const client = new V1Client({ name: "test", version: "1" });
    await client.connect(new V1Transport(command()));
    const ask = (signal: AbortSignal) => client.callTool(call("allowed"), undefined, { signal });
    return { ask, close: () => client.close() };
  },
} as const;

test.each(Object.entries(connected))(
  "%s: a cancelled call closes its request to the Worker",
  async (_, connect) => {
    const { ask, close } = await connect();
    const [asked, left] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    hold = { asked: asked.resolve, left: left.resolve };
    try {
      const gone = new AbortController();
      const ended = expect(ask(gone.signal)).rejects.toThrow();
      await asked.promise;
      gone.abort();
      await ended;
      await left.promise;
    } finally {
      hold = undefined;
    }
    await close();
  },
);
