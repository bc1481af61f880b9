// `npm run lab:alt-cuts -- [--scenes N] [--seed N]`: how far the scores of a caption tell whether it is true, on scenes
// that the embedded models have not seen, and what cuts let through: the table behind a connection's `min_itm` and
// `min_log_prob` (docs/cms.md).
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { scoreCaptions } from "../../gpu-node/nano/evaluate/score.ts";
import { openDrawings } from "../../gpu-node/nano/scenes/drawings.ts";
import { pictureOf, writeExam } from "../../gpu-node/nano/scenes/exam.ts";
import { startStack } from "../start/stack.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "17" },
    scenes: { type: "string", default: "400" },
  },
});
const say = (line: string): void => void process.stderr.write(`${line}\n`);
const atOnce = 4;

interface Judged {
  readonly right: boolean;
  readonly itm: number;
  readonly logProb: number;
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
      }
    };
    await Promise.all(Array.from({ length: atOnce }, work));
    report(judged);
  } finally {
    await stack.stop();
  }
} finally {
  await rm(stateDir, { recursive: true, force: true });
}
