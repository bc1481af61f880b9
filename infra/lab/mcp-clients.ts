// MCP clients of other projects against the tools, over HTTP and stdio, before a scripted node: each lists the tools and
// calls every one, without a model. They are installed into a folder of their own (test/clients/mcp) the first time.
import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import path from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { createApiKey } from "../../edge/src/auth/api-key.ts";
import { startFakeNode } from "../../test/support/fake-node.ts";
import { png } from "../../test/support/pictures.ts";
import { startWorker } from "../start/worker.ts";

const root = path.resolve(import.meta.dirname, "../..");
const folder = path.join(root, "test/clients/mcp");

interface Line {
  readonly client: string;
  readonly version?: string;
  readonly transport: string;
  readonly listed?: readonly string[];
  readonly called?: readonly string[];
  readonly failed?: string;
}

/** Whole or not at all. Throws what npm said. */
async function install(): Promise<void> {
  const modules = path.join(folder, "node_modules");
  if (existsSync(modules)) return;
  console.error("Installing the clients (some hundred megabytes) ...");
  // Not `npm ci`: it refuses a lockfile that lacks the optional binaries of other platforms.
  const args = ["install", "--no-save", "--ignore-scripts", "--loglevel=error"];
  try {
    await promisify(execFile)("npm", args, { cwd: folder });
  } catch (error) {
    await rm(modules, { recursive: true, force: true });
    throw error;
  }
}

const image = "https://pictures.example/boots.png";
const record = { namespace: "clients", id: "boots" };
const calls: readonly (readonly [string, object])[] = [
  ["caption_image", { images: [image] }],
  ["ask_image", { image, questions: ["what is it?", "how many?"] }],
  ["match_image_text", { image, texts: ["boots", "a hat"] }],
  ["index_image", { ...record, image, title: "Boots" }],
  ["search_images", { namespace: record.namespace, image }],
  ["get_image", { ...record, thumbnail: true }],
];

async function main(): Promise<number> {
  await install();
  const bytes = new Uint8Array(await png(7));
  const node = await startFakeNode();
  const worker = await startWorker({
    ...{ port: 0, nodeUrl: node.url, nodeKeys: node.keys },
    internet: () => new Response(bytes, { headers: { "content-type": "image/png" } }),
  });
  try {
    const { key } = await createApiKey();
    const scopes = ["infer", "search", "index"] as const;
    await worker.putKey({ key, tenant: "clients", name: "clients", scopes });
    const stdio = {
      command: process.execPath,
      args: [path.join(root, "mcp-server/src/cli/main.ts"), "mcp"],
      env: { BLIP2_URL: worker.url, BLIP2_API_KEY: key, PATH: process.env["PATH"] ?? "" },
    };
    const headers = { authorization: `Bearer ${key}` };
    const given = JSON.stringify({ url: new URL("/mcp", worker.url), headers, stdio, calls });
    const child = spawn(process.execPath, [path.join(folder, "run.mjs")], {
      env: { ...process.env, MCP_LAB: given },
      stdio: ["ignore", "pipe", "inherit"],
    });
    console.log("| client | version | transport | tools listed | tools called |");
    console.log("| --- | --- | --- | ---: | --- |");
    let isWell = true;
    for await (const text of createInterface({ input: child.stdout })) {
      if (!text.startsWith('{"client"')) continue;
      const { client, version, transport, listed, called, failed } = JSON.parse(text) as Line;
      isWell &&= failed === undefined;
      const all = called?.length === calls.length ? "all" : (called ?? []).join(", ");
      const words = failed === undefined ? all : `${all} FAILED ${failed}`;
      console.log(
        `| \`${client}\` | ${version ?? "?"} | ${transport} | ${listed?.length ?? 0} | ${words} |`,
      );
    }
    return isWell ? 0 : 1;
  } finally {
    await worker.stop();
    await node.stop();
  }
}

process.exitCode = await main();
