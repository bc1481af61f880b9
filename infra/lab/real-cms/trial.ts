// The whole product before one real CMS: 25 files of which 22 are scenes that the embedded models have not seen, every
// alt text and tag held to what was drawn; words and files that change under way; then uploads while the Worker is
// killed at work, and while it is down.
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { Client } from "@blip2-edge/shared/client";
import { cmsFetch } from "../../../edge/src/webhooks/cms-fetch.ts";
import { adapters } from "../../../edge/src/webhooks/adapters.ts";
import { scoreCaptions } from "../../../gpu-node/nano/evaluate/score.ts";
import { openDrawings } from "../../../gpu-node/nano/scenes/drawings.ts";
import { pictureOf, writeExam, type ExamScene } from "../../../gpu-node/nano/scenes/exam.ts";
import { recoded, truncatedJpeg } from "../../../test/support/pictures.ts";
import { startStack, type Stack } from "../../start/stack.ts";
import type { RealCms, StartRealCms } from "./real-cms.ts";

export interface TrialOptions {
  readonly seed: number;
  readonly say: (line: string) => void;
  /** What CMS, Worker and node say. */
  readonly log: (text: string) => void;
}

interface Uploaded {
  readonly id: string;
  readonly scene: ExamScene;
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
  const drawings = await openDrawings();

  async function fileOf({ scene }: ExamScene, index: number) {
    const png = await pictureOf(scene, drawings);
    const format = (["png", "jpeg", "webp"] as const)[index % 3] ?? "png";
    const bytes = format === "png" ? png : await recoded(png, format);
    return { bytes, type: `image/${format}`, name: `scene-${index}.${format}` };
  }

  async function uploadScenes(
    cms: RealCms,
    scenes: readonly ExamScene[],
    from: number,
  ): Promise<Uploaded[]> {
    const uploaded: Uploaded[] = [];
    for (const [index, scene] of scenes.entries()) {
      const { bytes, type, name } = await fileOf(scene, from + index);
      uploaded.push({ id: await cms.upload(name, type, bytes), scene });
    }
    return uploaded;
  }

  /** Alt texts and tags, held to what was drawn. */
  async function judge(cms: RealCms, uploaded: readonly Uploaded[]): Promise<void> {
    let [named, right, tags, trueTags] = [0, 0, 0, 0];
    for (const { id, scene } of uploaded) {
      const said = await cms.words(id);
      if (said.alt === null || said.alt === "") continue;
      named += 1;
      const caption = said.alt.charAt(0).toLowerCase() + said.alt.slice(1);
      right += scoreCaptions([[scene.scene, caption]]).wholeCaption.right;
      const nouns = new Set(scene.scene.groups.map(({ noun }) => noun));
      tags += said.tags.length;
      trueTags += said.tags.filter((tag) => nouns.has(tag)).length;
    }
    say(
      `     ${cms.kind}: ${named} of ${uploaded.length} have alt text, ${right} right in every word; ${trueTags} of ${tags} tags true`,
    );
    expectThat(named === uploaded.length, `${cms.kind}: every picture has alt text`);
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
    const scenes = writeExam(seed, 31, drawings.styles);
    const { id, webhook_path: hookPath } = await stack.client.connectionCreate({
      ...{ name: "lab", kind, base_url: cms.url, allow_private: true, mode: "apply" },
      ...{ token: cms.token, webhook_secret: secret, vocabulary: vocabularyOf(scenes) },
      ...(cms.fields === undefined ? {} : { fields: cms.fields }),
      // Only webhooks, so that what they miss shows.
      sweep_every_s: null,
      ...{ min_itm: null, min_log_prob: null },
    });
    await cms.hook(stack.url + hookPath, secret);

    const began = Date.now();
    const uploaded = await uploadScenes(cms, scenes.slice(0, 22), 0);
    const text = await cms.upload("notes.txt", "text/plain", Buffer.from("no picture"));
    const noPicture =
      cms.takes === "any bytes" ? Buffer.from("no picture either") : await truncatedJpeg();
    const broken = await cms.upload("broken.jpg", "image/jpeg", noPicture);
    const first = await fileOf(scenes[22] as ExamScene, 0);
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
      const scene = scenes[30] as ExamScene;
      const file = await fileOf(scene, 0);
      await cms.replace(one.id, "another.png", file.type, file.bytes);
      await settled(stack.client, id, 25, 26);
      await judge(cms, [{ id: one.id, scene }]);
    }
    if (other !== undefined) expectThat(...(await staleWrite(cms, other.id)));

    // Deliveries come in and the Worker dies with them.
    const killed = await uploadScenes(cms, scenes.slice(23, 26), 23);
    await stack.stop();
    // Nobody is there to be told.
    const missed = await uploadScenes(cms, scenes.slice(26, 30), 26);
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

/** Labels of the scenes, and some that are in none. */
const vocabularyOf = (scenes: readonly ExamScene[]): string[] =>
  [
    ...new Set([
      ...scenes.flatMap(({ scene }) => scene.groups.map(({ noun }) => noun)),
      "robot",
      "whale",
    ]),
  ].slice(0, 60);

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

/** A write of ours right after a human's, with what was read before it: the CMS itself must refuse it. */
async function staleWrite(cms: RealCms, id: string): Promise<[holds: boolean, what: string]> {
  const { kind, url, token, retitle } = cms;
  if (retitle === undefined) return [true, `${kind}: has no check of versions to be tried`];
  const signal = AbortSignal.timeout(30_000);
  const place = { base_url: url, allow_private: true };
  const [internet, { host }] = [fetch, new URL(url)];
  const ways = { internet, privateNet: fetch, ports: [], privateOrigins: [host] };
  const ask = cmsFetch({ ...{ ways, place, allow: [], timeoutMs: 10_000, signal } });
  const { preset } = adapters[kind].targets.alt ?? { preset: null };
  const ours = { ask, baseUrl: url, token, signal, targets: { alt: preset ?? "" } };
  const asset = await adapters[kind].read(ours, id);
  if (asset === undefined) return [false, `${kind}: the picture is there`];
  await retitle.call(cms, id, "A human was quicker");
  const written = await adapters[kind].write(ours, asset, { alt: "Ours" });
  const { alt } = await cms.words(id);
  const holds = written === "conflict" && alt === "A human was quicker";
  return [holds, `${kind}: refuses to write over what has changed since (${written}, ${alt})`];
}
