// `npm run lab:cms -- [--only directus|strapi] [--seed N]`: the whole product before real CMSs, installed from the
// package registry on first use. Uploads 25 files of which 22 are scenes that the embedded models have not seen,
// and holds every alt text and tag to what was drawn; then the same while the Worker is down, and killed at work.
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import type { Client } from "@blip2-edge/shared/client";
import { openDrawings } from "../../gpu-node/nano/scenes/drawings.ts";
import { pictureOf, writeExam, type ExamScene } from "../../gpu-node/nano/scenes/exam.ts";
import { scoreCaptions } from "../../gpu-node/nano/evaluate/score.ts";
import { recoded } from "../../test/support/pictures.ts";
import { startStack, type Stack } from "../start/stack.ts";
import { startDirectus } from "./real-cms/directus.ts";
import type { RealCms } from "./real-cms/real-cms.ts";
import { startStrapi } from "./real-cms/strapi.ts";

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    seed: { type: "string", default: "8" },
    verbose: { type: "boolean", default: false },
  },
});
const say = (line: string): void => void process.stderr.write(`${line}\n`);
const log = (text: string): void => {
  if (values.verbose) process.stderr.write(text);
};
const starters = { directus: startDirectus, strapi: startStrapi } as const;
const kinds = (Object.keys(starters) as (keyof typeof starters)[]).filter(
  (kind) => values.only === undefined || values.only === kind,
);
const faults: string[] = [];
const expectThat = (holds: boolean, what: string): void => {
  say(`${holds ? "ok  " : "NOT "} ${what}`);
  if (!holds) faults.push(what);
};

const secret = "the-webhook-secret-of-the-lab";
const drawings = await openDrawings();
/** Labels of the scenes, and some that are in none. */
const vocabularyOf = (scenes: readonly ExamScene[]): string[] =>
  [
    ...new Set([
      ...scenes.flatMap(({ scene }) => scene.groups.map(({ noun }) => noun)),
      "robot",
      "whale",
    ]),
  ].slice(0, 60);

interface Uploaded {
  readonly id: string;
  readonly scene: ExamScene;
}

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

/** Until nothing is left to do for `count` pictures. */
async function settled(
  client: Client,
  connection: string,
  count: number,
): Promise<Map<string, string>> {
  const until = Date.now() + 180_000;
  for (;;) {
    const states = new Map<string, string>();
    let open = 0;
    let cursor: string | undefined;
    do {
      const page = await client.deliveryList({ connection, cursor });
      for (const { asset_id: id, state, reason, finished_at: at } of page.deliveries) {
        if (at === null) open += 1;
        if (id !== null && !states.has(id)) states.set(id, `${state} ${reason}`);
      }
      ({ cursor } = page);
    } while (cursor !== undefined);
    if (open === 0 && states.size >= count) return states;
    if (Date.now() > until) throw new Error(`only ${states.size} of ${count}, ${open} open`);
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

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
  if (cms.hasTags) expectThat(trueTags >= 0.95 * tags && tags > 0, `${cms.kind}: tags are true`);
}

async function lab(kind: keyof typeof starters): Promise<void> {
  const stateDir = await mkdtemp(path.join(os.tmpdir(), "blip2-cms-"));
  const cms = await starters[kind](say, log);
  const host = new URL(cms.url).host;
  const modelsDir = path.join(import.meta.dirname, "../../.blip2/models");
  let port = 0;
  const startUp = async (): Promise<Stack> => {
    const stack = await startStack({
      ...{
        stateDir,
        port,
        modelsDir,
        allowFetch: [host],
        say: log,
        log: (line) => log(`${line}\n`),
      },
      vars: { CMS_RETRY_WAIT_MS: "500" },
    });
    port = Number(new URL(stack.url).port);
    return stack;
  };
  let stack = await startUp();
  try {
    const scenes = writeExam(Number(values.seed), 30, drawings.styles);
    const { id, webhook_path: hookPath } = await stack.client.connectionCreate({
      ...{ name: "lab", kind, base_url: cms.url, allow_private: true, mode: "apply" },
      ...{ token: cms.token, webhook_secret: secret, vocabulary: vocabularyOf(scenes) },
      // Only webhooks, so that what they miss shows.
      sweep_every_s: null,
      min_itm: null,
    });
    await cms.hook(stack.url + hookPath, secret);

    const began = Date.now();
    const uploaded = await uploadScenes(cms, scenes.slice(0, 22), 0);
    const text = await cms.upload("notes.txt", "text/plain", Buffer.from("no picture"));
    const broken = await cms.upload("broken.jpg", "image/jpeg", Buffer.from("no picture either"));
    const first = await fileOf(scenes[22] as ExamScene, 0);
    const titled = await cms.upload("titled.png", first.type, first.bytes, "By a human");
    const states = await settled(stack.client, id, 25);
    say(`     25 files uploaded and settled in ${((Date.now() - began) / 1000).toFixed(1)} s`);
    await judge(cms, uploaded);
    expectThat((await cms.words(titled)).alt === "By a human", `${kind}: a human's words stand`);
    expectThat(((await cms.words(text)).alt ?? "") === "", `${kind}: a text file has no alt text`);
    say(
      `     text: ${states.get(text)}; broken: ${states.get(broken)}; titled: ${states.get(titled)}`,
    );
    const writes = (await stack.client.connectionEvents({ connection: id })).events.filter(
      ({ what }) => what === "suggestion_written",
    );
    expectThat(writes.length === 22, `${kind}: 22 writes, one for each picture (${writes.length})`);

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
    await stack.stop();
    await cms.stop();
    await rm(stateDir, { recursive: true, force: true });
  }
}

for (const kind of kinds) await lab(kind);
say(faults.length === 0 ? "all as it should be" : `${faults.length} faults`);
process.exitCode = faults.length === 0 ? 0 : 1;
