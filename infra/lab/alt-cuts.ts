// `npm run lab:alt-cuts -- [--scenes N] [--seed N] [--tagged N]`: how far the scores of a caption tell whether it is true,
// on scenes that the embedded models have not seen, each clean and made hard, and what cuts let through: the tables behind
// a connection's `min_itm` and `min_log_prob`, and behind its tags (docs/cms.md).
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { defaultLabelTemplate } from "@blip2-edge/shared/contracts/classify";
import { applyTemplate } from "@blip2-edge/shared/contracts/question-template";
import { defaultMinItm, measuredMinLogProbs } from "@blip2-edge/shared/contracts/connections";
import { labelsInCaption } from "../../edge/src/webhooks/tags.ts";
import { openDrawings } from "../../gpu-node/nano/scenes/drawings.ts";
import { pictureOf, writeExam } from "../../gpu-node/nano/scenes/exam.ts";
import { things } from "../../gpu-node/nano/scenes/vocabulary.ts";
import { startStack } from "../start/stack.ts";
import { isTrue } from "./caption-truth.ts";
import { hardKinds, hardPicture } from "../../gpu-node/nano/scenes/hard-pictures.ts";
import { cutTable, kindTable, type Judged } from "./reliability.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "17" },
    scenes: { type: "string", default: "400" },
    tagged: { type: "string", default: "100" },
  },
});
const say = (line: string): void => void process.stderr.write(`${line}\n`);
const [examSeed, count] = [Number(values.seed), Number(values.scenes)];
const atOnce = 4;

/** A label asked about a scene. */
interface Tagged {
  readonly right: boolean;
  readonly itm: number;
  readonly named: boolean;
}

const labelsPerScene = 48;

function reportTags(tagged: readonly Tagged[]): void {
  const there = tagged.filter(({ right }) => right).length;
  console.log(`${tagged.length} labels, ${there} of them true\n`);
  console.log("| tags are labels | true of the tags | found of the true |\n| --- | ---: | ---: |");
  const row = (name: string, isTag: (one: Tagged) => boolean): void => {
    const tags = tagged.filter(isTag);
    const right = tags.filter((one) => one.right).length;
    console.log(
      `| ${name} | ${(right / tags.length).toFixed(3)} | ${(right / there).toFixed(3)} |`,
    );
  };
  for (const cut of [0.5, 0.8, 0.9, 0.95, 0.98, 0.99]) row(`ITM ${cut}`, ({ itm }) => itm >= cut);
  row("named by the caption", ({ named }) => named);
  for (const cut of [0.1, 0.3, 0.5, 0.8]) {
    row(`named by the caption, ITM ${cut}`, ({ named, itm }) => named && itm >= cut);
  }
  for (const cut of [0.9, 0.95, 0.98, 0.99]) {
    row(`named by the caption, or ITM ${cut}`, ({ named, itm }) => named || itm >= cut);
  }
}

const itmCuts = [0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99];
const logProbCuts = [-0.5, -0.3, -0.2, -0.15, -0.1, -0.07, -0.05, -0.04];

function report(judged: readonly Judged[]): void {
  const tables = [
    cutTable(
      "`min_itm`",
      itmCuts.map((itm) => [String(itm), { itm, logProb: -Infinity }]),
      judged,
    ),
    cutTable(
      "`min_log_prob`",
      logProbCuts.map((logProb) => [String(logProb), { itm: 0, logProb }]),
      judged,
    ),
    cutTable(
      "both",
      [0.5, 0.8, 0.9, 0.95].flatMap((itm) =>
        [-0.1, -0.07, -0.05].map((logProb) => [`${itm}, ${logProb}`, { itm, logProb }] as const),
      ),
      judged,
    ),
    kindTable(judged, { itm: defaultMinItm, logProb: measuredMinLogProbs.nano }),
  ];
  for (const table of tables) console.log(`${table.join("\n")}\n`);
}

const stateDir = await mkdtemp(path.join(os.tmpdir(), "blip2-cuts-"));
try {
  const modelsDir = path.join(import.meta.dirname, "../../.blip2/models");
  const stack = await startStack({ stateDir, port: 0, modelsDir, say, log: () => {} });
  try {
    const drawings = await openDrawings();
    const scenes = writeExam(examSeed, count, drawings.styles);
    const others = writeExam(examSeed + 1, count, drawings.styles);
    const judged: Judged[] = [];
    const tagged: Tagged[] = [];
    const ask = async (bytes: Uint8Array) => {
      const { text, log_prob: logProb } = await stack.client.caption({ image: { bytes } });
      if (text.trim() === "") return { text, logProb, itm: 0 };
      const asked = { image: { bytes }, texts: [text], scores: ["itm" as const] };
      const { matches } = await stack.client.match(asked);
      return { text, logProb, itm: matches[0]?.itm ?? NaN };
    };
    let next = 0;
    const work = async (): Promise<void> => {
      for (let at = next++; at < scenes.length; at = next++) {
        const [one, other] = [scenes[at], others[at]];
        if (one === undefined || other === undefined)
          throw new Error("fewer scenes than asked for");
        const bytes = await pictureOf(one.scene, drawings);
        const { text, ...scores } = await ask(bytes);
        judged.push({ kind: "clean", right: isTrue(text, [one.scene]), ...scores });
        // As many hard ones as clean ones, of each kind the same.
        const kind = hardKinds[at % hardKinds.length] ?? "blurred";
        const hard = await hardPicture(
          kind,
          [one.scene, other.scene],
          drawings,
          examSeed * 100_000 + at,
        );
        const { text: words, ...found } = await ask(hard.bytes);
        judged.push({ kind, right: isTrue(words, hard.truth), ...found });
        if (tagged.length >= Number(values.tagged) * labelsPerScene) continue;
        const nouns = new Set(one.scene.groups.map(({ noun }) => noun));
        const absent = things.map(({ noun }) => noun).filter((noun) => !nouns.has(noun));
        const start = (at * 31) % absent.length;
        const labels = [...nouns, ...absent.slice(start), ...absent.slice(0, start)];
        const asked = labels.slice(0, labelsPerScene);
        const named = new Set(labelsInCaption(text, asked, asked.length));
        const texts = asked.map((label) => applyTemplate(defaultLabelTemplate, label));
        const told = await stack.client.match({ image: { bytes }, texts, scores: ["itm"] });
        asked.forEach((label, index) => {
          const itm = told.matches[index]?.itm ?? NaN;
          tagged.push({ right: nouns.has(label), itm, named: named.has(label) });
        });
      }
    };
    await Promise.all(Array.from({ length: atOnce }, work));
    report(judged);
    if (tagged.length > 0) reportTags(tagged);
  } finally {
    await stack.stop();
  }
} finally {
  await rm(stateDir, { recursive: true, force: true });
}
