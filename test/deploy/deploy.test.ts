// `npm run deploy` with wrangler itself, which bundles the Worker and talks to the stand-in for Cloudflare's API over
// loopback; a local Worker before a scripted node answers where the deployed one would.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { deploy } from "../../infra/deploy/deploy.ts";
import { parseDeployOptions, type DeployOptions } from "../../infra/deploy/options.ts";
import type { DeployIo } from "../../infra/deploy/scene.ts";
import { startEdge, type Edge } from "../support/edge.ts";
import { liveVersion } from "../support/cloudflare-stand-in-workers.ts";
import { cloudflareStandIn, standInAccount, standInToken } from "../support/cloudflare-stand-in.ts";

const root = path.resolve(import.meta.dirname, "../..");
const operator = `b2e_operator_${"0".repeat(40)}`;
const standIn = cloudflareStandIn({ subdomain: "acme" });
const said: string[] = [];
let edge: Edge;
let home: string;
let io: DeployIo;
let sources = "1";
let stop: () => Promise<void>;

/** The local Worker in the place of the deployed one; a key that it makes is told to the stand-in's database. */
async function live(input: string | URL, init?: RequestInit): Promise<Response> {
  const url = new URL(input);
  const answer = await fetch(edge.url + url.pathname + url.search, init);
  if (url.pathname === "/v1/keys" && init?.method === "POST" && answer.status === 201) {
    standIn.storage.databases
      .get("blip2-edge")
      ?.sqlite.exec(
        "INSERT INTO api_keys (id, prefix, secret_hash, tenant, name, created_at, scopes) " +
          "VALUES ('k', 'p', 'h', 'main', 'owner', 0, 'infer admin')",
      );
  }
  return answer;
}

beforeAll(async () => {
  edge = await startEdge({ vars: { OPERATOR_KEYS: operator } });
  home = await mkdtemp(path.join(os.tmpdir(), "blip2-deploy-"));
  await mkdir(path.join(home, "state/production"), { recursive: true });
  const held = JSON.stringify({ OPERATOR_KEYS: operator });
  await writeFile(path.join(home, "state/production/secrets.json"), held);
  const served = await standIn.serve();
  stop = served.stop;
  io = {
    env: {
      ...process.env,
      CLOUDFLARE_ACCOUNT_ID: standInAccount,
      CLOUDFLARE_API_TOKEN: standInToken,
      CLOUDFLARE_API_BASE_URL: served.base,
    },
    fetch: (input, init) =>
      (input as URL).href.startsWith(served.base) ? fetch(input, init) : live(input as URL, init),
    sleep: () => Promise.resolve(),
    signal: new AbortController().signal,
    say: (line) => void said.push(line),
    confirm: undefined,
    shown: true,
    root,
    environments: path.join(home, "environments"),
    state: path.join(home, "state"),
    // Beside wrangler.jsonc, whose paths are relative; of a name that nobody's deployment has.
    configFile: () => path.join(root, `edge/wrangler.test-${process.pid}.json`),
    sources: () => Promise.resolve(sources),
  };
});
afterAll(async () => {
  await rm(io.configFile(""), { force: true });
  await rm(home, { recursive: true, force: true });
  await stop();
  await edge.stop();
});

const run = (...args: string[]) => {
  said.length = 0;
  return deploy(parseDeployOptions(["--yes", ...args]) as DeployOptions, io);
};
const node = ["--node", "gpu-1=https://gpu-1.example.com"] as const;

test("the plan that has no CPU limits is named before anything answers", async () => {
  standIn.workers.paid = false;
  await expect(run(...node)).rejects.toMatchObject({
    message: expect.stringMatching(/Workers Free plan/) as string,
  });
  standIn.workers.paid = true;
  expect(standIn.workers.scripts.size).toBe(0);
}, 240_000);

test("it goes on from there: wrangler uploads the Worker with its secrets, triggers and consumer", async () => {
  expect(await run(...node)).toBe(0);
  const version = liveVersion(standIn.workers, "blip2-edge");
  expect(version?.metadata).toMatchObject({
    main_module: "index.js",
    compatibility_flags: expect.arrayContaining(["global_fetch_strictly_public"]) as string[],
    limits: { cpu_ms: 60_000 },
    migrations: { new_tag: "v4" },
  });
  expect(version?.modules.filter((name) => name.endsWith(".wasm")).length).toBeGreaterThan(0);
  const secrets = version?.bindings.filter(({ type }) => type === "secret_text") ?? [];
  expect(secrets.map(({ name }) => name).toSorted()).toEqual([
    ...["LINK_SECRETS", "NODE_KEYS", "OPERATOR_KEYS", "PARTITION_SECRET"],
  ]);
  const worker = standIn.workers.scripts.get("blip2-edge");
  expect(worker).toMatchObject({ crons: ["* * * * *"], onWorkersDev: true });
  expect(standIn.storage.queues.get("blip2-edge-jobs")?.consumers).toMatchObject([
    { script: "blip2-edge", settings: { batch_size: 1, max_retries: 5 } },
  ]);
  // The local Worker looked at the picture that ships, with the key that was made.
  expect(said.join("\n")).toMatch(/ok {4}caption: ".+"/);
  const folder = path.join(home, "state/production");
  const text = await readFile(path.join(folder, "secrets.json"), "utf8");
  const { admin } = JSON.parse(text) as { admin: { key: string } };
  expect(said.join("\n")).toContain(`shown this once: ${admin.key}`);
  // What wrangler logs holds neither the token nor a secret.
  const logs = (await readdir(folder)).filter((name) => name.endsWith(".log"));
  expect(logs.length).toBeGreaterThan(0);
  for (const name of logs) {
    const log = await readFile(path.join(folder, name), "utf8");
    expect(log).not.toContain(standInToken);
    for (const secret of secrets) expect(log).not.toContain(secret.text);
  }
}, 240_000);

test("again: nothing. Other sources: a version, with the secrets of before; and back", async () => {
  expect(await run()).toBe(0);
  expect(said.join("\n")).toContain("Nothing to do");
  const worker = standIn.workers.scripts.get("blip2-edge");
  expect(worker?.versions).toHaveLength(1);

  sources = "2";
  expect(await run()).toBe(0);
  const [first, second] = worker?.versions ?? [];
  const secretsOf = (version: typeof first) =>
    version?.bindings
      .filter(({ type }) => type === "secret_text")
      .map(({ name, text }) => `${name}=${text}`)
      .toSorted();
  expect(secretsOf(second)).toEqual(secretsOf(first));
  expect(liveVersion(standIn.workers, "blip2-edge")).toBe(second);
  expect(await run("status")).toBe(0);

  expect(await run("rollback")).toBe(0);
  expect(liveVersion(standIn.workers, "blip2-edge")).toBe(first);
}, 240_000);
