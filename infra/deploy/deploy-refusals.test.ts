// What a deployment refuses, and in which words: tokens that may not, limits, what is another's, secrets that are lost. Nothing
// is changed on the way, and once the reason is gone the same command goes on.
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import type { Area } from "../../test/support/cloudflare-stand-in-api.ts";
import { liveVersion } from "../../test/support/cloudflare-stand-in-workers.ts";
import { standInAccount, standInToken } from "../../test/support/cloudflare-stand-in.ts";
import { changing, deploymentScenes, node } from "../../test/support/deployment-scene.ts";
import { DeployError } from "./deploy-error.ts";
import { deploy } from "./deploy.ts";
import { parseDeployOptions, type DeployOptions } from "./options.ts";

const { scene, remove } = deploymentScenes();
afterAll(remove);

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

test("an index of another shape, an operator key that is not here, secrets that cannot be read", async () => {
  const index = scene();
  index.standIn.storage.indexes.set("blip2-edge-candidates", { dimensions: 16, metric: "cosine" });
  await expect(index.run(...node, "--use", "vectorize")).rejects.toThrow(/has 16 dimensions/);

  const first = scene();
  await first.run(...node);
  for (const { sqlite } of first.standIn.storage.databases.values()) {
    sqlite.exec("UPDATE api_keys SET revoked_at = 1");
  }
  await expect(scene({}, first.standIn).run(...node)).rejects.toThrow(/operator key .* not in/);
  const secrets = path.join(first.home, "state/production/secrets.json");
  await writeFile(secrets, '{"PARTITION_SECRET": "too short"}');
  const error: unknown = await first.run().catch((thrown: unknown) => thrown);
  expect(String(error)).toContain("secrets.json cannot be understood");
  expect(String(error)).not.toContain("too short");
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
