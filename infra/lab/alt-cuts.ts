// `npm run lab:alt-cuts -- [--scenes N] [--seed N]`: how far the scores of a caption tell whether it is true, on scenes
// that the embedded models have not seen, and what cuts let through: the tables behind a connection's `min_itm` and
// `min_log_prob`, and behind its tags (docs/cms.md).
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { defaultLabelTemplate } from "@blip2-edge/shared/contracts/classify";
import { applyTemplate } from "@blip2-edge/shared/contracts/question-template";
import { labelsInCaption } from "../../edge/src/webhooks/tags.ts";
import { scoreCaptions } from "../../gpu-node/nano/evaluate/score.ts";
import { openDrawings } from "../../gpu-node/nano/scenes/drawings.ts";
import { pictureOf, writeExam } from "../../gpu-node/nano/scenes/exam.ts";
import { things } from "../../gpu-node/nano/scenes/vocabulary.ts";
import { startStack } from "../start/stack.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "17" },
    scenes: { type: "string", default: "400" },
    tagged: { type: "string", default: "100" },
  },
});
const say = (line: string): void => void process.stderr.write(`${line}\n`);
const atOnce = 4;

interface Judged {
  readonly right: boolean;
  readonly itm: number;
  readonly logProb: number;
}

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

const share = (list: readonly Judged[]): string => {
  const p = list.filter(({ right }) => right).length / list.length;
  return `${p.toFixed(3)} ± ${Math.sqrt((p * (1 - p)) / list.length).toFixed(3)}`;
};

function report(judged: readonly Judged[]): void {
  console.log(`${judged.length} captions, ${share(judged)} true in every word\n`);
  const scores = {
    itm: ({ itm }: Judged) => itm,
    log_prob: ({ logProb }: Judged) => logProb,
  } as const;
  const cuts = {
    itm: [0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 0.99],
    log_prob: [-1, -0.4, -0.3, -0.2, -0.15, -0.1, -0.05, -0.02],
  } as const;
  for (const name of ["itm", "log_prob"] as const) {
    console.log(`| ${name} of at least | written | true of those written | true of the rest |`);
    console.log("| ---: | ---: | ---: | ---: |");
    for (const cut of cuts[name]) {
      const [kept, rest] = [true, false].map((above) =>
        judged.filter((one) => scores[name](one) >= cut === above),
      ) as [Judged[], Judged[]];
      const written = (kept.length / judged.length).toFixed(3);
      const of = (list: readonly Judged[]): string => (list.length === 0 ? "-" : share(list));
      console.log(`| ${cut} | ${written} | ${of(kept)} | ${of(rest)} |`);
    }
    console.log("");
  }
}

const stateDir = await mkdtemp(path.join(os.tmpdir(), "blip2-cuts-"));
try {
  const modelsDir = path.join(import.meta.dirname, "../../.blip2/models");
  const stack = await startStack({ stateDir, port: 0, modelsDir, say, log: () => {} });
  try {
    const drawings = await openDrawings();
    const scenes = writeExam(Number(values.seed), Number(values.scenes), drawings.styles);
    const judged: Judged[] = [];
    const tagged: Tagged[] = [];
    let next = 0;
    const work = async (): Promise<void> => {
      for (let one = scenes[next++]; one !== undefined; one = scenes[next++]) {
        const bytes = await pictureOf(one.scene, drawings);
        const { text, log_prob: logProb } = await stack.client.caption({ image: { bytes } });
        const { matches } = await stack.client.match({
          image: { bytes },
          texts: [text],
          scores: ["itm"],
        });
        const right = scoreCaptions([[one.scene, text]]).wholeCaption.right === 1;
        judged.push({ right, itm: matches[0]?.itm ?? NaN, logProb });
        if (tagged.length >= Number(values.tagged) * labelsPerScene) continue;
        const nouns = new Set(one.scene.groups.map(({ noun }) => noun));
        const others = things.map(({ noun }) => noun).filter((noun) => !nouns.has(noun));
        const start = (next * 31) % others.length;
        const labels = [...nouns, ...others.slice(start), ...others.slice(0, start)];
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
    reportTags(tagged);
  } finally {
    await stack.stop();
  }
} finally {
  await rm(stateDir, { recursive: true, force: true });
}
