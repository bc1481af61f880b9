// The whole of a deployment before a stand-in for Cloudflare's API, with what wrangler does call by call: an account in
// which nothing is, half is, or something else is; a token that may not; limits; and a run that is broken off at every
// single request and begun again.
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Area } from "../../test/support/cloudflare-stand-in-api.ts";
import { liveVersion } from "../../test/support/cloudflare-stand-in-workers.ts";
import {
  cloudflareStandIn,
  standInAccount,
  standInToken,
  type CloudflareStandIn,
  type StandInOptions,
} from "../../test/support/cloudflare-stand-in.ts";
import { deployedWorker } from "../../test/support/deployed-worker.ts";
import { fakeWrangler } from "../../test/support/fake-wrangler.ts";
import { DeployError } from "./deploy-error.ts";
import { deploy } from "./deploy.ts";
import { parseDeployOptions, type DeployOptions } from "./options.ts";
import type { DeployIo } from "./scene.ts";

const root = path.resolve(import.meta.dirname, "../..");
let folder: string;
let scenes = 0;
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "blip2-deploy-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Held {
  readonly PARTITION_SECRET: string;
  readonly OPERATOR_KEYS: string;
  readonly NODE_KEYS: Readonly<Record<string, string>>;
  readonly admin?: { readonly key?: string };
}

/** The end of this process, as far as a test can have it: nothing catches it. */
class Killed extends Error {}

function scene(options: StandInOptions = { subdomain: "acme" }, kept?: CloudflareStandIn) {
  const standIn = kept ?? cloudflareStandIn(options);
  const worker = deployedWorker(standIn);
  const home = path.join(folder, String(scenes++));
  const said: string[] = [];
  let sources = "sources-1";
  const io: DeployIo = {
    env: { CLOUDFLARE_ACCOUNT_ID: standInAccount, CLOUDFLARE_API_TOKEN: standInToken },
    fetch: (input, init) => {
      const { hostname } = new URL(input instanceof Request ? input.url : input);
      return hostname === "api.cloudflare.com"
        ? standIn.fetch(input, init)
        : worker.fetch(input, init);
    },
    sleep: () => Promise.resolve(),
    signal: new AbortController().signal,
    say: (line) => void said.push(line),
    confirm: undefined,
    shown: false,
    root,
    environments: path.join(home, "environments"),
    state: path.join(home, "state"),
    configFile: (environment) => path.join(home, `wrangler.${environment}.json`),
    sources: () => Promise.resolve(sources),
    wrangler: fakeWrangler(standIn),
  };
  const run = (...args: string[]) => {
    said.length = 0;
    const parsed = parseDeployOptions(["--yes", ...args]) as DeployOptions;
    return deploy(parsed, io);
  };
  const secretsOf = async (environment = "production") =>
    JSON.parse(
      await readFile(path.join(home, "state", environment, "secrets.json"), "utf8"),
    ) as Held;
  return {
    ...{ standIn, worker, run, said, io, home, secretsOf },
    change: (digest: string) => (sources = digest),
  };
}

const node = ["--node", "gpu-1=https://gpu-1.example.com"] as const;
const changing = (asked: readonly string[]) =>
  asked.filter((line) => !line.startsWith("GET") && !line.endsWith("/query"));

/** What there is in the account, without the ids that are drawn. */
function inventory({ storage, workers }: CloudflareStandIn) {
  return {
    databases: [...storage.databases].map(([name, { sqlite }]) => [
      name,
      sqlite.prepare("SELECT name FROM sqlite_master ORDER BY name").all().length,
      sqlite.prepare("SELECT count(*) AS keys FROM api_keys").get(),
    ]),
    namespaces: [...storage.namespaces.keys()],
    buckets: [...storage.buckets],
    queues: [...storage.queues.values()].map(({ queue_name: name, consumers }) => [
      name,
      consumers.map(({ script }) => script),
    ]),
    workers: [...workers.scripts].map(([name, { crons, onWorkersDev }]) => [
      name,
      crons,
      onWorkersDev,
      liveVersion(workers, name)
        ?.bindings.map((binding) => binding.name)
        .toSorted(),
    ]),
  };
}

test("an empty account becomes a deployment; run again, nothing changes", async () => {
  const { standIn, worker, run, said, secretsOf, home } = scene();
  expect(await run(...node)).toBe(0);
  expect(inventory(standIn)).toEqual({
    databases: [["blip2-edge", expect.any(Number) as number, { keys: 1 }]],
    namespaces: ["blip2-edge-results", "blip2-edge-oauth-kv"],
    buckets: ["blip2-edge-pixels", "blip2-edge-jobs"],
    queues: [["blip2-edge-jobs", ["blip2-edge"]]],
    workers: [["blip2-edge", ["* * * * *"], true, expect.any(Array) as string[]]],
  });
  const texts = Object.fromEntries(
    (liveVersion(standIn.workers, "blip2-edge")?.bindings ?? []).map(({ name, text }) => [
      name,
      text,
    ]),
  );
  const secrets = await secretsOf();
  expect(texts).toMatchObject({
    ANNOUNCE_ORIGINS: "gpu-1=https://gpu-1.example.com",
    MCP_HOSTS: "blip2-edge.acme.workers.dev",
    PARTITION_SECRET: secrets.PARTITION_SECRET,
    OPERATOR_KEYS: secrets.OPERATOR_KEYS,
    NODE_KEYS: `gpu-1:${secrets.NODE_KEYS["gpu-1"]}`,
  });
  expect(texts).not.toHaveProperty("NODE_URL");
  expect(secrets.admin?.key).toBe(worker.made[0]);
  expect(said.join("\n")).not.toContain(worker.made[0]);
  expect(said.join("\n")).toContain("waits caption: no node yet");
  expect(said.join("\n")).toContain("--announce https://blip2-edge.acme.workers.dev");
  const keys = path.join(home, "state/production/node-keys-gpu-1");
  expect(await readFile(keys, "utf8")).toBe(`${texts["NODE_KEYS"]}\n`);
  for (const file of [keys, path.join(home, "state/production/secrets.json")]) {
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  }
  // What was lent to wrangler is gone.
  expect(await readdir(path.join(home, "state/production"))).toHaveLength(2);

  const before = inventory(standIn);
  standIn.asked.length = 0;
  expect(await run()).toBe(0);
  expect(said).toContain('Nothing to do: "production" is as it should be.');
  expect(changing(standIn.asked)).toEqual([]);
  expect(inventory(standIn)).toEqual(before);
  expect(await run("status")).toBe(0);
});

test("another machine, without the secrets, changes nothing either, and deploys what is new", async () => {
  const first = scene();
  await first.run(...node);
  const there = scene({}, first.standIn);
  first.standIn.asked.length = 0;
  expect(await there.run(...node)).toBe(0);
  expect(changing(first.standIn.asked)).toEqual([]);
  there.change("sources-2");
  expect(await there.run("status")).toBe(1);
  expect(await there.run()).toBe(0);
  expect(first.standIn.workers.scripts.get("blip2-edge")?.deployments).toHaveLength(2);
  const { bindings } = liveVersion(first.standIn.workers, "blip2-edge") ?? {};
  const partition = bindings?.find(({ name }) => name === "PARTITION_SECRET")?.text;
  expect(partition).toBe((await first.secretsOf()).PARTITION_SECRET);
});

test("staging and production share nothing", async () => {
  const { standIn, run, secretsOf } = scene();
  await run(...node);
  await run("--env", "staging", ...node);
  expect([...standIn.storage.buckets]).toEqual([
    ...["blip2-edge-pixels", "blip2-edge-jobs"],
    ...["blip2-edge-pixels-staging", "blip2-edge-jobs-staging"],
  ]);
  expect([...standIn.storage.databases.keys()]).toEqual(["blip2-edge", "blip2-edge-staging"]);
  expect([...standIn.workers.scripts.keys()]).toEqual(["blip2-edge", "blip2-edge-staging"]);
  const secrets = [await secretsOf(), await secretsOf("staging")];
  expect(secrets[0]?.PARTITION_SECRET).not.toBe(secrets[1]?.PARTITION_SECRET);
});

test.each(["before", "after"] as const)(
  "broken off at any request, %s it was carried out, it goes on to the same end",
  async (side) => {
    const whole = scene();
    await whole.run(...node);
    const end = inventory(whole.standIn);
    const requests = whole.standIn.asked.length;
    expect(requests).toBeGreaterThan(30);
    for (let at = 0; at < requests; at++) {
      const told = `request ${at}: ${whole.standIn.asked[at]}`;
      // Before one that only reads is after the one before it.
      if (side === "before" && changing([whole.standIn.asked[at] ?? ""]).length === 0) continue;
      const { standIn, run, worker, secretsOf } = scene();
      let left = at;
      standIn[side] = () => {
        if (left-- === 0) throw new Killed();
        return undefined;
      };
      await expect(run(...node), told).rejects.toThrow(Killed);
      standIn[side] = undefined;
      expect(await run(...node), told).toBe(0);
      expect(inventory(standIn), told).toEqual(end);
      expect(worker.made).toEqual([(await secretsOf()).admin?.key]);
      standIn.asked.length = 0;
      await run();
      expect(changing(standIn.asked), told).toEqual([]);
      const made = standIn.workers.scripts.get("blip2-edge")?.versions ?? [];
      const secrets = made.map(
        ({ bindings }) => bindings.find(({ name }) => name === "PARTITION_SECRET")?.text,
      );
      expect(new Set(secrets).size).toBe(1);
    }
  },
);

test("the answer with the admin key was lost: it is asked for again, and is the same key", async () => {
  const { worker, run, io, secretsOf, standIn } = scene();
  const fetch = io.fetch;
  const broken = { ...io };
  Object.assign(io, {
    async fetch(input: URL, init?: RequestInit) {
      const answer = await fetch(input, init);
      if (input.pathname === "/v1/keys" && init?.method === "POST") throw new Killed();
      return answer;
    },
  });
  await expect(run(...node)).rejects.toThrow();
  Object.assign(io, broken);
  expect((await secretsOf()).admin?.key).toBeUndefined();
  expect(await run()).toBe(0);
  expect((await secretsOf()).admin?.key).toBe(worker.made[0]);
  expect(worker.made).toHaveLength(1);
  expect(inventory(standIn).databases[0]?.[2]).toEqual({ keys: 1 });
});

const areas: readonly (readonly [Area, RegExp])[] = [
  ["d1", /"D1: Edit"/],
  ["kv", /"Workers KV Storage: Edit"/],
  ["r2", /"Workers R2 Storage: Edit"/],
  ["queues", /"Queues: Edit"/],
  ["workers", /"Workers Scripts: Edit"/],
  ["account", /"Account Settings: Read"/],
];
test.each(areas)("a token without %s is told which permission it lacks", async (area, next) => {
  const { run, standIn } = scene({ subdomain: "acme", without: [area] });
  const error = await run(...node).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(DeployError);
  expect((error as DeployError).next).toMatch(next);
  expect(changing(standIn.asked)).toEqual([]);
});

test("a token that does not see the plan is told so, and goes on", async () => {
  const { run, said } = scene({ subdomain: "acme", without: ["billing"] });
  expect(await run(...node)).toBe(0);
  expect(said.join("\n")).toContain("Billing: Read");
});

test.each(["d1", "kv", "queues"] as const)(
  "a limit of %s is told; once it is raised, the run goes on",
  async (kind) => {
    const { run, standIn } = scene({ subdomain: "acme", limits: { [kind]: 0 } });
    await expect(run(...node)).rejects.toMatchObject({
      message: expect.stringMatching(/maximum|as many/) as string,
      next: expect.stringContaining("goes on where it was") as string,
    });
    delete standIn.storage.limits[kind];
    expect(await run(...node)).toBe(0);
  },
);

test("what is another's is not touched", async () => {
  const queue = scene();
  queue.standIn.storage.queues.set("blip2-edge-jobs", {
    ...{ queue_id: "q", queue_name: "blip2-edge-jobs" },
    consumers: [{ consumer_id: "c", type: "worker", script: "shop", settings: {} }],
  });
  await expect(queue.run(...node)).rejects.toThrow(/consumed by shop/);

  const database = scene();
  await database.io.fetch(
    `https://api.cloudflare.com/client/v4/accounts/${standInAccount}/d1/database`,
    {
      method: "POST",
      headers: { authorization: `Bearer ${standInToken}` },
      body: JSON.stringify({ name: "blip2-edge" }),
    },
  );
  database.standIn.storage.databases.get("blip2-edge")?.sqlite.exec("CREATE TABLE orders (n)");
  await expect(database.run(...node)).rejects.toThrow(/holds something else: orders/);

  const worker = scene();
  worker.standIn.workers.scripts.set("blip2-edge", {
    ...{ tag: "t", versions: [], classes: new Set(), migrationTag: undefined, crons: [] },
    ...{ deployments: [{ created_on: "2030-01-01T00:00:00Z", version: "v" }], onWorkersDev: true },
  });
  worker.standIn.workers.scripts.get("blip2-edge")?.versions.push({
    ...{ id: "v", bindings: [], modules: [], metadata: {} as never },
  });
  await expect(worker.run(...node)).rejects.toThrow(/did not deploy/);
  expect(await worker.run("--adopt", ...node)).toBe(0);

  for (const { standIn } of [queue, database]) {
    expect(changing(standIn.asked).filter((line) => line !== "POST /d1/database")).toEqual([]);
  }
});

test("an account without a name under workers.dev, or with one that is taken", async () => {
  const { run, standIn } = scene({});
  await expect(run(...node)).rejects.toMatchObject({
    next: expect.stringContaining("--workers-dev NAME") as string,
  });
  standIn.workers.othersSubdomains.add("acme");
  await expect(run(...node, "--workers-dev", "acme")).rejects.toThrow(/somebody else/);
  expect(await run(...node, "--workers-dev", "acme-2")).toBe(0);
  expect(standIn.workers.subdomain).toBe("acme-2");
});

test("a host of one's own: with a DNS record nothing is replaced, without one the Worker gets it", async () => {
  const { run, standIn } = scene({});
  standIn.workers.records.add("see.example.com");
  await expect(run(...node, "--domain", "see.example.com")).rejects.toThrow(/DNS record/);
  standIn.workers.records.clear();
  expect(await run()).toBe(0);
  expect(standIn.workers.domains.get("see.example.com")).toBe("blip2-edge");
  expect(standIn.workers.scripts.get("blip2-edge")?.onWorkersDev).toBe(false);
  standIn.workers.domains.set("see.example.com", "shop");
  await expect(run()).rejects.toThrow(/belongs to the Worker shop/);
});

test("a PARTITION_SECRET that is lost is not made anew beside data", async () => {
  const first = scene();
  await first.run(...node);
  first.standIn.workers.scripts.clear();
  const there = scene({}, first.standIn);
  await expect(there.run(...node)).rejects.toThrow(/PARTITION_SECRET that it was used with/);
  expect(await first.run()).toBe(0);
});

test("a node is added to the keys that are held here; elsewhere it is refused", async () => {
  const { run, standIn, secretsOf } = scene();
  await run(...node);
  const before = (await secretsOf()).NODE_KEYS["gpu-1"];
  const second = ["--node", "gpu-2=https://gpu-2.example.com"] as const;
  await expect(scene({}, standIn).run(...node, ...second)).rejects.toThrow(/cannot be read back/);
  expect(await run(...second)).toBe(0);
  const secrets = await secretsOf();
  const { bindings } = liveVersion(standIn.workers, "blip2-edge") ?? {};
  expect(bindings?.find(({ name }) => name === "NODE_KEYS")?.text).toBe(
    `gpu-1:${before},gpu-2:${secrets.NODE_KEYS["gpu-2"]}`,
  );
  expect(await run("status")).toBe(0);
});

test("a trigger or consumer that got lost is put back", async () => {
  const { run, standIn } = scene();
  await run(...node);
  const worker = standIn.workers.scripts.get("blip2-edge");
  if (worker !== undefined) worker.crons = [];
  for (const queue of standIn.storage.queues.values()) queue.consumers = [];
  expect(await run("status")).toBe(1);
  expect(await run()).toBe(0);
  expect(worker?.crons).toEqual(["* * * * *"]);
  expect(standIn.storage.queues.get("blip2-edge-jobs")?.consumers).toHaveLength(1);
});

test("back to the version before, and forward again", async () => {
  const { run, standIn, change, said } = scene();
  await run(...node);
  await expect(run("rollback")).rejects.toThrow(/no version of blip2-edge before/);
  change("sources-2");
  await run();
  const [first, second] = standIn.workers.scripts.get("blip2-edge")?.versions ?? [];
  standIn.storage.databases
    .get("blip2-edge")
    ?.sqlite.exec("INSERT INTO d1_migrations (name) VALUES ('9999_later.sql')");
  expect(await run("rollback")).toBe(0);
  expect(liveVersion(standIn.workers, "blip2-edge")).toBe(first);
  expect(said.join("\n")).toMatch(/stays as it is.*9999_later\.sql/);
  expect(await run("status")).toBe(1);
  expect(await run()).toBe(0);
  expect(second?.id).not.toBe(liveVersion(standIn.workers, "blip2-edge")?.id);
});

test("a Worker that does not do what it should is told, with the way back", async () => {
  const { run, worker } = scene();
  await run(...node);
  worker.broken = true;
  await expect(run()).rejects.toMatchObject({
    next: expect.stringContaining("rollback") as string,
  });
});

test("a dry run asks nobody and writes nothing", async () => {
  const { run, said, standIn, home, io } = scene();
  Object.assign(io, { env: {}, fetch: () => Promise.reject(new Error("no network")) });
  expect(await run("--dry-run", "--use", "vectorize")).toBe(0);
  expect(said.join("\n")).toMatch(/make the D1 database blip2-edge\n/);
  expect(said.join("\n")).toMatch(/Vectorize: Edit/);
  expect(said.join("\n")).toMatch(/make the Vectorize index blip2-edge-candidates \(256 /);
  expect(standIn.asked).toEqual([]);
  await expect(readdir(home)).rejects.toThrow(/ENOENT/);
});

test("nobody to ask, or a no, and nothing is changed", async () => {
  const { io, standIn } = scene();
  const options = parseDeployOptions([...node]) as DeployOptions;
  await expect(deploy(options, io)).rejects.toMatchObject({
    next: expect.stringContaining("--yes") as string,
  });
  Object.assign(io, { confirm: () => Promise.resolve(false) });
  await expect(deploy(options, io)).rejects.toThrow("Nothing was changed.");
  expect(changing(standIn.asked)).toEqual([]);
});
