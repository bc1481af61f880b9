// A Worker that is killed between its acknowledgement of webhooks and what it would have written, and in the middle of a
// backfill: on the state that it left behind every picture gets its words, and gets them once.
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createClient } from "@blip2-edge/shared/client";
import { createApiKey } from "../../edge/src/auth/api-key.ts";
import { startEdge, type Edge } from "../support/edge.ts";
import { startFakeCms, type FakeCms } from "../support/fake-cms-server.ts";
import { fakeDirectus } from "../support/fake-directus.ts";
import { png } from "../support/pictures.ts";

const secret = "the-webhook-secret-of-the-tests";
const count = 20;
const delivered = 12;
let stateDir: string;
let cms: FakeCms;
let edge: Edge | undefined;
beforeAll(async () => {
  stateDir = await mkdtemp(path.join(os.tmpdir(), "blip2-hooks-"));
  cms = await startFakeCms(fakeDirectus);
});
afterAll(async () => {
  await edge?.stop();
  await cms?.stop();
  await rm(stateDir, { recursive: true, force: true });
});

const start = (): Promise<Edge> =>
  startEdge({
    stateDir,
    vars: {
      ...{ CMS_PRIVATE_ORIGINS: cms.origin, CMS_RETRY_WAIT_MS: "20" },
      ...{ REQUEST_TIMEOUT_MS: "2000", JOB_LEASE_GRACE_MS: "100" },
      ...{ CMS_TIMEOUT_MS: "2000", JOB_SLICE_MS: "2000" },
    },
  });

test("killed with acknowledged webhooks in every state and a backfill half done: nothing is lost or written twice", async () => {
  edge = await start();
  const { key } = await createApiKey();
  await edge.worker.putKey({ key, tenant: "ada", name: "cms", scopes: ["connections"] });
  const client = createClient({ url: edge.url, key });
  const { id: connection, webhook_path: hookPath } = await client.connectionCreate({
    ...{ name: "site", kind: "directus", base_url: cms.url, allow_private: true, mode: "apply" },
    ...{ token: cms.token, webhook_secret: secret, min_itm: null, sweep_every_s: null },
  });
  const assets = await Promise.all(
    Array.from({ length: count }, async (_, seed) => cms.add({ bytes: await png(seed + 700) })),
  );
  // Some are done at once; the others are under way, or wait behind them, when the Worker dies.
  edge.node.failNext(
    ...Array.from({ length: 2 }, () => ({ kind: "wait" as const, ms: 10 })),
    ...Array.from({ length: count }, () => ({ kind: "wait" as const, ms: 1500 })),
  );
  // Of the library some are delivered as well, before or after the backfill has listed them.
  const { id: backfill } = await client.backfillCreate({ connection, rate: 600 });
  for (const asset of assets.slice(0, delivered)) {
    const hook = cms.vendor.hook("created", asset, secret);
    const response = await edge.call(hookPath, { method: "POST", key: null, ...hook });
    expect(response.status).toBe(200);
  }
  const listed = async () => (await client.backfillRead({ id: backfill })).counts.listed;
  await expect.poll(listed, { timeout: 15_000, interval: 20 }).toBeGreaterThan(0);
  const written = () => assets.filter(({ alt }) => alt !== null).length;
  await expect.poll(written, { timeout: 15_000, interval: 20 }).toBeGreaterThan(0);
  const [workerd] = edge.worker.pids();
  process.kill(workerd?.pid ?? 0, "SIGKILL");
  expect(written()).toBeLessThan(count);
  await edge.stop();

  edge = await start();
  const again = createClient({ url: edge.url, key });
  await expect
    .poll(
      async () => {
        await edge?.worker.tick();
        const { deliveries } = await again.deliveryList({ connection });
        return deliveries.map(({ state, reason, detail, attempts }) =>
          state === "written" ? state : `${state}: ${reason} ${detail} ${attempts}`,
        );
      },
      { timeout: 40_000, interval: 100 },
    )
    .toEqual(assets.map(() => "written"));
  await expect
    .poll(
      async () => {
        await edge?.worker.tick();
        return (await again.backfillRead({ id: backfill })).state;
      },
      { timeout: 40_000, interval: 200 },
    )
    .toBe("done");
  const { counts } = await again.backfillRead({ id: backfill });
  expect(counts).toMatchObject({ failed: 0, dead: 0, waiting: 0, queued: 0 });
  expect(counts.listed).toBeGreaterThanOrEqual(count - delivered);
  expect(written()).toBe(count);
  expect(assets.map(({ id }) => cms.writes(id))).toEqual(assets.map(() => 1));
});
