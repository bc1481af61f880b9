// Boxes join a local Worker with one command each, get new keys and are sent away, under load: no call fails. Nobody
// copies a key: an operator's token is all that a box is given.
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createApiKey } from "../../edge/src/auth/api-key.ts";
import { startWorker, type RunningWorker } from "../../infra/start/worker.ts";
import { cli, type CliProcess } from "../support/cli-process.ts";
import { nanoArtifact } from "../support/nano-artifact.ts";
import { until } from "../support/served-node.ts";
import { steadyLoad, type Answered, type Loader } from "../support/steady-load.ts";

const operatorKey = `b2e_operator_${"4q".repeat(16)}`;
const patienceMs = 50_000;

let worker: RunningWorker;
let load: Loader;
let artifact: string;
let folder: string;
const running = new Set<CliProcess>();
beforeAll(async () => {
  artifact = await nanoArtifact();
  folder = await mkdtemp(path.join(tmpdir(), "blip2-join-"));
  const events: Record<string, unknown>[] = [];
  worker = await startWorker({
    port: 0,
    nodeUrl: "",
    nodeKeys: [],
    joinHosts: ["127.0.0.1"],
    vars: { OPERATOR_KEYS: operatorKey, HEARTBEAT_MS: "1000", NODE_LIST_TTL_MS: "500" },
    log: (line) => {
      if (line.startsWith("{")) events.push(JSON.parse(line) as Record<string, unknown>);
    },
  });
  const { key: apiKey } = await createApiKey();
  await worker.putKey({ key: apiKey, tenant: "ada", name: "test" });
  load = steadyLoad({ url: worker.url, apiKey, events });
});
afterAll(async () => {
  for (const box of running) box.signal("SIGTERM");
  for (const box of running) await box.ended;
  await worker?.stop();
  if (folder !== undefined) await rm(folder, { recursive: true });
});

/** What the operator's command printed. */
async function nodes(...args: readonly string[]): Promise<readonly string[]> {
  const env = { BLIP2_URL: worker.url, BLIP2_API_KEY: operatorKey };
  const command = cli("blip2-edge", ["nodes", ...args], env);
  expect(await command.ended, command.stderr.join("\n")).toBe(0);
  return command.stdout;
}
const tokenFor = async (name: string): Promise<string> =>
  (await nodes("token", name, "--origin", "http://127.0.0.1:*"))[0] ?? "";

interface Box {
  readonly url: string;
  readonly process: CliProcess;
}
/** The command of a box; without a token it goes on as it has joined. */
async function box(name: string, token?: string, more: readonly string[] = []): Promise<Box> {
  const process_ = cli(
    "blip2",
    [
      ...["join", "--edge", worker.url, "--model", artifact, "--threads", "1"],
      ...["--state", path.join(folder, name), ...more],
    ],
    token === undefined ? {} : { BLIP2_JOIN_TOKEN: token },
  );
  running.add(process_);
  void process_.ended.then(() => running.delete(process_));
  const line = await process_.firstLine;
  if (line === undefined) throw new Error(process_.stderr.join("\n"));
  return { url: (JSON.parse(line) as { url: string }).url, process: process_ };
}
async function untilServed(boxes: readonly Box[]): Promise<void> {
  const before = boxes.map(({ url }) => load.servedBy(url));
  await until(
    () => boxes.every(({ url }, at) => load.servedBy(url) > (before[at] ?? 0)),
    "each box answers a call",
    patienceMs,
  );
}
const failed = (calls: readonly Answered[]): Answered[] =>
  calls.filter(({ status }) => status !== 200);

const names = ["gpu-1", "gpu-2", "gpu-3"] as const;
const boxes: Box[] = [];

test("a box joins with its token, and more while the Worker is asked: each gets calls", async () => {
  boxes.push(await box(names[0], await tokenFor(names[0])));
  const calls = await load.whileAsked(async () => {
    await untilServed(boxes);
    for (const name of names.slice(1)) boxes.push(await box(name, await tokenFor(name)));
    await untilServed(boxes);
  });
  console.log("three boxes join:", load.figures(calls));
  expect(failed(calls)).toEqual([]);
  const listed = (await nodes("list", "--json")).map(
    (line) => JSON.parse(line) as { name: string; state: string },
  );
  expect(listed.map(({ name, state }) => `${name} ${state}`)).toEqual(
    names.map((name) => `${name} ready`),
  );
});

test("its metrics are read with the key that it keeps", async () => {
  const [first] = boxes as [Box];
  const state = path.join(folder, names[0]);
  const metrics = cli("blip2", ["metrics", "--node", first.url, "--state", state]);
  expect(await metrics.ended, metrics.stderr.join("\n")).toBe(0);
  expect(metrics.stdout).toContain("node_ready 1");
});

test("a token is good for one box", async () => {
  const token = await tokenFor("gpu-9");
  const first = await box("gpu-9", token);
  const thief = box("thief", token);
  await expect(thief).rejects.toThrow(/blip2 join: The token does not let a node join/);
  first.process.signal("SIGTERM");
  expect(await first.process.ended).toBe(0);
  await nodes("remove", "gpu-9");
});

test("all get new keys by one command: no call fails, no signature is refused", async () => {
  const keysOf = ({ process: { logged } }: Box): unknown[] =>
    logged("keys_read").map((line) => line["key_ids"]);
  const calls = await load.whileAsked(async () => {
    await untilServed(boxes);
    await nodes("rotate", ...names, "--overlap", "5");
    // Both keys, and then the new one alone.
    await until(() => boxes.every((each) => keysOf(each).length === 2), "both steps", patienceMs);
    await untilServed(boxes);
  });
  console.log("keys are renewed:", load.figures(calls));
  expect(failed(calls)).toEqual([]);
  for (const each of boxes) {
    const [both, one] = keysOf(each) as [string[], string[]];
    expect(both).toHaveLength(2);
    expect(one).toEqual(both.slice(0, 1));
    const requests = each.process.logged("request");
    expect(requests.filter((line) => line["status"] === 401)).toEqual([]);
    expect(requests.at(-1)?.["key_id"]).toBe(one[0]);
  }
});

test("a box is started again without a token, and one is sent away: no call fails", async () => {
  const [first, second, third] = boxes as [Box, Box, Box];
  const calls = await load.whileAsked(async () => {
    await untilServed(boxes);
    second.process.signal("SIGTERM");
    expect(await second.process.ended).toBe(0);
    const again = await box(names[1]);
    await untilServed([again]);
    await nodes("remove", names[2]);
    // It ends by itself, in order.
    expect(await third.process.ended).toBe(0);
    await untilServed([first, again]);
  });
  console.log("one is started again, one sent away:", load.figures(calls));
  expect(failed(calls)).toEqual([]);
  expect(third.process.logged("sent_away")).toHaveLength(1);
  expect(third.process.logged("stopped")).toHaveLength(1);
  expect((await nodes("list")).some((line) => line.startsWith(names[2]))).toBe(false);
});

test("cloudflared is started with the node, outlives its drain, and takes it along when it breaks", async () => {
  const bin = path.join(folder, "bin");
  const said = path.join(folder, "cloudflared-said");
  const standIn = async (script: string): Promise<void> => {
    await writeFile(path.join(bin, "cloudflared"), `#!/bin/sh\n${script}\n`);
    await chmod(path.join(bin, "cloudflared"), 0o755);
  };
  await mkdir(bin);
  const token = path.join(folder, "tunnel-token");
  await writeFile(token, "a token of a tunnel");
  process.env["PATH"] = `${bin}:${process.env["PATH"]}`;
  await standIn(
    `echo "INF Registered tunnel connection connIndex=0" >&2
trap 'echo told to end >> ${said}; exit 0' TERM
echo "$@" > ${said}
while :; do sleep 0.05; done`,
  );
  const tunnel = ["--tunnel", "--tunnel-token-file", token, "--url", "http://127.0.0.1:9"];
  const open = await box("gpu-4", await tokenFor("gpu-4"), tunnel);
  open.process.signal("SIGTERM");
  expect(await open.process.ended).toBe(0);
  expect(await readFile(said, "utf8")).toBe(
    `tunnel --no-autoupdate --grace-period 30s run --token-file ${token}\ntold to end\n`,
  );
  const events = open.process.stderr.map((line) => /"event":"(\w+)"/.exec(line)?.[1]);
  expect(events.indexOf("tunnel_open")).toBeLessThan(events.indexOf("announced"));

  await standIn(
    `echo "INF Registered tunnel connection connIndex=0" >&2
while [ ! -e ${said}.break ]; do sleep 0.05; done
echo "ERR Unauthorized: Tunnel not found" >&2
exit 1`,
  );
  const broken = await box("gpu-4", undefined, tunnel);
  await writeFile(`${said}.break`, "");
  expect(await broken.process.ended).toBe(1);
  expect(broken.process.stderr.at(-1)).toMatch(/cloudflared has ended.*Tunnel not found/);
  await nodes("remove", "gpu-4");
});
