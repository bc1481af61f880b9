// `npm run lab:cms-backfill -- [--pictures N] [--rate N] [--fresh N]`: a stand-in of Directus with a library, gone through
// by the Worker before a scripted node, killed at a third of it and halted at two thirds, with uploads in between: that
// every picture is written once, that the rate is kept, and how long an upload waits.
import { setTimeout as sleep } from "node:timers/promises";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { createClient } from "@blip2-edge/shared/client";
import { createApiKey } from "../../edge/src/auth/api-key.ts";
import { startEdge, type Edge } from "../../test/support/edge.ts";
import { startFakeCms } from "../../test/support/fake-cms-server.ts";
import type { FakeVendor } from "../../test/support/fake-cms.ts";
import { fakeDirectus } from "../../test/support/fake-directus.ts";
import { png } from "../../test/support/pictures.ts";

const { values } = parseArgs({
  options: {
    pictures: { type: "string", default: "5000" },
    rate: { type: "string", default: "600" },
    fresh: { type: "string", default: "40" },
  },
});
const [pictureCount, rate, freshCount] = [values.pictures, values.rate, values.fresh].map(
  Number,
) as [number, number, number];
const haltMs = 30_000;
const windowMs = 60_000;
const secret = "the-webhook-secret-of-the-lab";
const say = (line: string): void => void process.stderr.write(`${line}\n`);
const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

/** When words were written to which asset. */
const writes: { readonly id: string; readonly at: number }[] = [];
const watched: FakeVendor = {
  ...fakeDirectus,
  async answer(request, assets, token) {
    const answer = await fakeDirectus.answer(request, assets, token);
    if (request.method === "PATCH" && answer.status === 200) {
      writes.push({ id: request.url.pathname.split("/").at(-1) ?? "", at: Date.now() });
    }
    return answer;
  },
};

const cms = await startFakeCms(watched);
const stateDir = await mkdtemp(path.join(os.tmpdir(), "blip2-backfill-"));
const start = (): Promise<Edge> =>
  startEdge({
    stateDir,
    tickEveryMs: 60_000,
    vars: { CMS_PRIVATE_ORIGINS: cms.origin, CMS_CONCURRENCY: "8" },
  });
let edge = await start();
try {
  const { key } = await createApiKey();
  await edge.worker.putKey({ key, tenant: "lab", name: "cms", scopes: ["connections"] });
  const clientOf = () => createClient({ url: edge.url, key });
  say(`drawing ${pictureCount} pictures`);
  const library: string[] = [];
  for (let seed = 0; seed < pictureCount; seed++) {
    library.push(cms.add({ bytes: await png(seed, 32) }).id);
  }
  const { id: connection, webhook_path: hookPath } = await clientOf().connectionCreate({
    ...{ name: "lab", kind: "directus", base_url: cms.url, allow_private: true, mode: "apply" },
    ...{ token: cms.token, webhook_secret: secret, sweep_every_s: null, min_itm: null },
  });
  const begunAt = Date.now();
  const { id } = await clientOf().backfillCreate({ connection, rate });
  const written = () => new Set(writes.map((write) => write.id)).size;
  const uploads: { readonly id: string; readonly at: number }[] = [];
  /** An editor uploads a picture. */
  async function upload(seed: number): Promise<void> {
    const asset = cms.add({ bytes: await png(1_000_000 + seed, 32) });
    const hook = cms.vendor.hook("created", asset, secret);
    uploads.push({ id: asset.id, at: Date.now() });
    const response = await fetch(edge.url + hookPath, { method: "POST", ...hook });
    if (response.status !== 200) throw new Error(`a webhook was answered ${response.status}`);
  }
  async function until(share: number): Promise<void> {
    let told = 0;
    while (written() < share * pictureCount) {
      await sleep(200);
      if (Date.now() - told < 15_000) continue;
      told = Date.now();
      const { counts, state, left_s: leftS, detail } = await clientOf().backfillRead({ id });
      say(
        `${seconds(told - begunAt)}: ${state}, ${counts.written} written, ${leftS} s left ${detail ?? ""}`,
      );
    }
  }

  await until(1 / 3);
  const [workerd] = edge.worker.pids();
  process.kill(workerd?.pid ?? 0, "SIGKILL");
  const killedAt = Date.now();
  const killedWith = written();
  await edge.stop();
  edge = await start();
  say(`killed with ${killedWith} written; up again after ${seconds(Date.now() - killedAt)}`);
  const afterKill = written();
  while (written() === afterKill) await sleep(50);
  const goneOnAfterMs = Date.now() - killedAt;

  const uploading = (async () => {
    for (let index = 0; index < freshCount; index++) {
      await upload(index);
      await sleep(2000);
    }
  })();
  await until(2 / 3);
  await uploading;
  await clientOf().backfillPause({ id });
  const pausedWith = written();
  await sleep(5000);
  const whilePaused = written() - pausedWith;
  await sleep(haltMs - 5000);
  const stillPaused = written() - pausedWith - whilePaused;
  await clientOf().backfillResume({ id });

  let end = await clientOf().backfillRead({ id });
  for (let told = 0; end.ended_at === null; end = await clientOf().backfillRead({ id })) {
    await sleep(1000);
    if (Date.now() - told < 15_000) continue;
    told = Date.now();
    say(`${seconds(told - begunAt)}: ${end.state}, ${end.counts.written} written`);
  }
  const tookMs = Date.now() - begunAt;

  const once = library.filter((one) => cms.writes(one) === 1).length;
  const ofLibrary = new Set(library);
  const times = writes.filter((write) => ofLibrary.has(write.id)).map(({ at }) => at);
  const most = times.reduce((best, from, first) => {
    let next = first;
    while ((times[next] ?? Infinity) < from + windowMs) next += 1;
    return Math.max(best, next - first);
  }, 0);
  const waits = uploads
    .map(({ id: one, at }) => (writes.find((write) => write.id === one)?.at ?? Infinity) - at)
    .toSorted((a, b) => a - b);
  console.log(
    `${once} of ${pictureCount} pictures were written once; the backfill is ${end.state}: ${JSON.stringify(end.counts)}`,
  );
  console.log(
    `${seconds(tookMs)} in all, of which ${seconds(haltMs)} halted; at most ${most} writes in a minute, at a rate of ${rate}`,
  );
  console.log(
    `killed: the next write came ${seconds(goneOnAfterMs)} later. Halted: ${whilePaused} writes in the first 5 s, ${stillPaused} after that`,
  );
  console.log(
    `${uploads.length} uploads meanwhile had their words after ${seconds(waits[waits.length >> 1] ?? NaN)} (median), ${seconds(waits.at(-1) ?? NaN)} (longest)`,
  );
  const isRight = once === pictureCount && end.state === "done" && stillPaused === 0;
  const isKept = most <= rate * 1.1 && waits.every(Number.isFinite);
  if (!isRight || !isKept) process.exitCode = 1;
} finally {
  await edge.stop();
  await cms.stop();
  await rm(stateDir, { recursive: true, force: true });
}
