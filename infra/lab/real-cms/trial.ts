// The whole product before one real CMS: 25 files of which 22 are scenes that the embedded models have not seen, every
// alt text and tag held to what was drawn; words and files that change under way; then uploads while the Worker is
// killed at work, and while it is down.
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { Client } from "@blip2-edge/shared/client";
import { truncatedJpeg } from "../../../test/support/pictures.ts";
import { startStack, type Stack } from "../../start/stack.ts";
import { openExam, score, type Scene, type Uploaded } from "./exam.ts";
import type { RealCms, StartRealCms } from "./real-cms.ts";
import { staleWrite } from "./stale-write.ts";

export interface TrialOptions {
  readonly seed: number;
  readonly say: (line: string) => void;
  /** What CMS, Worker and node say. */
  readonly log: (text: string) => void;
}

const secret = `whsec_${Buffer.from("the webhook secret of the lab!!!").toString("base64")}`;
const settleLimitMs = 180_000;

/** What was not as it should be; nothing where all was. */
export async function tryRealCms(
  start: StartRealCms,
  { seed, say, log }: TrialOptions,
): Promise<readonly string[]> {
  const faults: string[] = [];
  const expectThat = (holds: boolean, what: string): void => {
    say(`${holds ? "ok  " : "NOT "} ${what}`);
    if (!holds) faults.push(what);
  };
  const exam = await openExam(seed, 31);
  async function judge(cms: RealCms, uploaded: readonly Uploaded[]): Promise<void> {
    const { named, right, tags, trueTags } = await score(cms, uploaded);
    const count = uploaded.length;
    say(
      `     ${cms.kind}: ${named} of ${count} have alt text, ${right} right in every word; ${trueTags} of ${tags} tags true`,
    );
    expectThat(named === count, `${cms.kind}: every picture has alt text`);
    expectThat(right >= 0.8 * named, `${cms.kind}: alt texts are true`);
    if (cms.hasTags) {
      expectThat(trueTags >= 0.95 * tags && tags > 0, `${cms.kind}: tags are true`);
    }
  }

  const stateDir = await mkdtemp(path.join(os.tmpdir(), "blip2-cms-"));
  const cms = await start(say, log);
  const { kind } = cms;
  const modelsDir = path.join(import.meta.dirname, "../../../.blip2/models");
  let port = 0;
  const startUp = async (): Promise<Stack> => {
    const stack = await startStack({
      ...{ stateDir, port, modelsDir, allowFetch: [new URL(cms.url).host], say: log },
      log: (line) => log(`${line}\n`),
      vars: { CMS_RETRY_WAIT_MS: "500" },
    });
    port = Number(new URL(stack.url).port);
    return stack;
  };
  let stack: Stack | undefined;
  try {
    stack = await startUp();
    const { scenes, vocabulary, fileOf, upload } = exam;
    const { id, webhook_path: hookPath } = await stack.client.connectionCreate({
      ...{ name: "lab", kind, base_url: cms.url, allow_private: true, mode: "apply" },
      ...{ token: cms.token, webhook_secret: secret, vocabulary },
      ...(cms.fields === undefined ? {} : { fields: cms.fields }),
      // Only webhooks, so that what they miss shows.
      sweep_every_s: null,
      ...{ min_itm: null, min_log_prob: null },
    });
    await cms.hook(stack.url + hookPath, secret);

    const began = Date.now();
    const uploaded = await upload(cms, scenes.slice(0, 22), 0);
    const text = await cms.upload("notes.txt", "text/plain", Buffer.from("no picture"));
    const noPicture =
      cms.takes === "any bytes" ? Buffer.from("no picture either") : await truncatedJpeg();
    const broken = await cms.upload("broken.jpg", "image/jpeg", noPicture);
    const first = await fileOf(scenes[22] as Scene, 0);
    const titled = await cms.upload("titled.png", first.type, first.bytes, "By a human");
    const states = await settled(stack.client, id, 25);
    say(`     25 files uploaded and settled in ${((Date.now() - began) / 1000).toFixed(1)} s`);
    await judge(cms, uploaded);
    expectThat((await cms.words(titled)).alt === "By a human", `${kind}: a human's words stand`);
    expectThat(((await cms.words(text)).alt ?? "") === "", `${kind}: a text file has no alt text`);
    for (const [what, asset, state] of [
      ["a text file is no picture", text, "skipped not_an_image"],
      ["a broken picture is said to be that", broken, "failed file_broken"],
      ["a picture with alt text is left alone", titled, "skipped has_words"],
    ] as const) {
      expectThat(states.get(asset) === state, `${kind}: ${what} (${states.get(asset)})`);
    }
    const writes = (await stack.client.connectionEvents({ connection: id })).events.filter(
      ({ what }) => what === "suggestion_written",
    );
    expectThat(writes.length === 22, `${kind}: 22 writes, one for each picture (${writes.length})`);

    const [one, other] = uploaded;
    if (cms.replace !== undefined && one !== undefined) {
      const scene = scenes[30] as Scene;
      const file = await fileOf(scene, 0);
      await cms.replace(one.id, "another.png", file.type, file.bytes);
      await settled(stack.client, id, 25, 26);
      await judge(cms, [{ id: one.id, scene }]);
    }
    const { retitle } = cms;
    if (other !== undefined && retitle !== undefined) {
      expectThat(...(await staleWrite({ ...cms, retitle }, other.id)));
    }

    // Deliveries come in and the Worker dies with them.
    const killed = await upload(cms, scenes.slice(23, 26), 23);
    await stack.stop();
    // Nobody is there to be told.
    const missed = await upload(cms, scenes.slice(26, 30), 26);
    stack = await startUp();
    await stack.client.connectionUpdate({ id, sweep_every_s: 3600 });
    await settled(stack.client, id, 32);
    await judge(cms, [...killed, ...missed]);
  } finally {
    await stack?.stop();
    await cms.stop();
    await rm(stateDir, { recursive: true, force: true });
  }
  return faults;
}

/** Until nothing is left to do for `assets` pictures in at least `rows` deliveries; how each ended. */
async function settled(
  client: Client,
  connection: string,
  assets: number,
  rows = assets,
): Promise<Map<string, string>> {
  const until = Date.now() + settleLimitMs;
  for (;;) {
    const states = new Map<string, string>();
    let [open, count] = [0, 0];
    let cursor: string | undefined;
    do {
      const page = await client.deliveryList({ connection, cursor });
      count += page.deliveries.length;
      for (const { asset_id: id, state, reason, finished_at: at } of page.deliveries) {
        if (at === null) open += 1;
        if (id !== null && !states.has(id)) states.set(id, `${state} ${reason}`);
      }
      ({ cursor } = page);
    } while (cursor !== undefined);
    if (open === 0 && states.size >= assets && count >= rows) return states;
    if (Date.now() > until) throw new Error(`only ${states.size} of ${assets}, ${open} open`);
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}
