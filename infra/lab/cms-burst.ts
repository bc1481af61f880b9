// `npm run lab:cms-burst -- [--assets N] [--rate N]`: webhooks at a rate while the node is kept busy, each of them
// ten times and out of order: how long an acknowledgement takes, and that every asset is written once.
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { openDrawings } from "../../gpu-node/nano/scenes/drawings.ts";
import { pictureOf, writeExam } from "../../gpu-node/nano/scenes/exam.ts";
import { startFakeCms } from "../../test/support/fake-cms-server.ts";
import type { FakeAsset, FakeHook } from "../../test/support/fake-cms.ts";
import { fakeSite } from "../../test/support/fake-site.ts";
import { startStack } from "../start/stack.ts";

const { values } = parseArgs({
  options: {
    assets: { type: "string", default: "100" },
    rate: { type: "string", default: "50" },
  },
});
const [assetCount, rate] = [Number(values.assets), Number(values.rate)];
const copies = 10;
const busyCallers = 16;
const secret = `whsec_${Buffer.from("the webhook secret of the lab!!!").toString("base64")}`;
const say = (line: string): void => void process.stderr.write(`${line}\n`);
const quantile = (sorted: readonly number[], q: number): string =>
  `${(sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? NaN).toFixed(0)} ms`;

const cms = await startFakeCms(fakeSite);
const stateDir = await mkdtemp(path.join(os.tmpdir(), "blip2-burst-"));
const modelsDir = path.join(import.meta.dirname, "../../.blip2/models");
const allowFetch = [cms.origin];
const stack = await startStack({ stateDir, port: 0, modelsDir, allowFetch, say, log: () => {} });
try {
  const drawings = await openDrawings();
  const scenes = writeExam(3, assetCount, drawings.styles);
  const assets: FakeAsset[] = [];
  for (const { scene } of scenes) assets.push(cms.add({ bytes: await pictureOf(scene, drawings) }));
  const { id, webhook_path: hookPath } = await stack.client.connectionCreate({
    ...{ name: "burst", kind: "standard", base_url: cms.url, allow_private: true, mode: "apply" },
    ...{ token: cms.token, webhook_secret: secret, sweep_every_s: null },
    ...{ min_itm: null, min_log_prob: null },
  });
  const done = new AbortController();
  let captions = 0;
  // Drawn anew each time, so no cache answers.
  const keepBusy = async (): Promise<void> => {
    const bytes = assets[0]?.bytes ?? Buffer.alloc(0);
    while (!done.signal.aborted) {
      await stack.client
        .caption({ image: { bytes }, do_sample: true, top_k: 5 })
        .then(() => (captions += 1))
        .catch(() => undefined);
    }
  };
  const callers = Array.from({ length: busyCallers }, keepBusy);
  const order = Array.from(
    { length: assetCount * copies },
    (_, index) => (index * 7919) % assetCount,
  );
  const took: number[] = [];
  const refused: number[] = [];
  const sent: Promise<void>[] = [];
  const send = async (hook: FakeHook | undefined, at: number): Promise<void> => {
    const response = await fetch(stack.url + hookPath, { method: "POST", ...hook });
    took.push(performance.now() - at);
    if (response.status !== 200) refused.push(response.status);
  };
  const began = performance.now();
  for (const [index, which] of order.entries()) {
    const asset = assets[which];
    if (asset === undefined) continue;
    const wait = began + (index * 1000) / rate - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    const at = performance.now();
    const hook = cms.vendor.hook("created", asset, secret);
    sent.push(send(hook, at));
  }
  await Promise.all(sent);
  done.abort();
  await Promise.all(callers);
  const sorted = took.toSorted((a, b) => a - b);
  console.log(
    `${took.length} deliveries at ${rate} a second, ${captions} captions beside them: acknowledged in ` +
      `${quantile(sorted, 0.5)} (median), ${quantile(sorted, 0.99)} (p99), ${quantile(sorted, 1)} (longest); ${refused.length} refused`,
  );
  const until = Date.now() + 300_000;
  for (let open = -1; open !== 0 && Date.now() < until;) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    const pages = await Promise.all(
      (["received", "queued", "fetching", "described"] as const).map((state) =>
        stack.client.deliveryList({ connection: id, state }),
      ),
    );
    open = pages.reduce((sum, { deliveries }) => sum + deliveries.length, 0);
  }
  const writes = assets.map((asset) => cms.writes(asset.id));
  console.log(
    `${writes.filter((count) => count === 1).length} of ${assetCount} assets were written once`,
  );
  if (writes.some((count) => count !== 1) || refused.length > 0) process.exitCode = 1;
} finally {
  await stack.stop();
  await cms.stop();
  await rm(stateDir, { recursive: true, force: true });
}
