// The whole of a deployment before a stand-in for Cloudflare's API, with what wrangler does call by call: an empty account,
// again, elsewhere, in another environment; broken off around every request that changes something; and back.
import { readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { liveVersion } from "../../test/support/cloudflare-stand-in-workers.ts";
import type { CloudflareStandIn } from "../../test/support/cloudflare-stand-in.ts";
import { changing, deploymentScenes, node } from "../../test/support/deployment-scene.ts";

const { scene, remove } = deploymentScenes();
afterAll(remove);

/** The end of this process, as far as a test can have it: nothing catches it. */
class Killed extends Error {}

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

test("nodes that join need no key of the settings; one that does is added later", async () => {
  const { standIn, run, said, secretsOf } = scene();
  expect(await run()).toBe(0);
  const bound = () => liveVersion(standIn.workers, "blip2-edge")?.bindings.map(({ name }) => name);
  expect(bound()).not.toContain("NODE_KEYS");
  expect(bound()).not.toContain("ANNOUNCE_ORIGINS");
  expect(said.join("\n")).toContain("nodes token gpu-1 --origin");
  expect(said.join("\n")).not.toContain((await secretsOf()).OPERATOR_KEYS);
  expect(await run("status")).toBe(0);
  expect(await run(...node)).toBe(0);
  expect(bound()).toContain("NODE_KEYS");
  expect(await run("status")).toBe(0);
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
      // Around one that only reads the account is as it is after the one before it.
      if (whole.standIn.asked[at]?.startsWith("GET") !== false) continue;
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

test.each(["its cron trigger", "the consumer of its queue", "its place on workers.dev"])(
  "%s got lost: it is put back",
  async (what) => {
    const { run, standIn } = scene();
    await run(...node);
    const worker = standIn.workers.scripts.get("blip2-edge");
    const queue = standIn.storage.queues.get("blip2-edge-jobs");
    if (worker === undefined || queue === undefined) throw new Error("nothing was deployed");
    if (what.includes("cron")) worker.crons = [];
    if (what.includes("consumer")) queue.consumers = [];
    if (what.includes("workers.dev")) worker.onWorkersDev = false;
    expect(await run("status")).toBe(1);
    expect(await run()).toBe(0);
    expect(worker).toMatchObject({ crons: ["* * * * *"], onWorkersDev: true });
    expect(queue.consumers).toMatchObject([{ script: "blip2-edge" }]);
    expect(await run("status")).toBe(0);
  },
);

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
