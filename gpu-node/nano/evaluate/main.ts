// `main.ts --url URL --key KEY`: measures the models behind a Worker: captions and answers, or with `--exam matching`
// the retrieval model's ITM. Exit 0 when every gate holds, 1 when one does not.

import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { openDrawings, shippedSpriteFiles } from "../scenes/drawings.ts";
import { askOverHttp } from "./ask.ts";
import { evaluate } from "./evaluate.ts";
import { evaluateMatching, matchingAsMarkdown } from "./matching.ts";
import type { GateSet } from "./gates.ts";
import { asMarkdown, asText } from "./report.ts";

const usage = `usage: main.ts --url URL --key KEY [--seed N] [--scenes N] [--exam captions|matching]
         [--gates default|test]   of captions and answers; small samples wander
         [--json FILE]       everything, wrong captions included
         [--markdown]        the table as it stands in the model card
         [--sprites FILE]... draw in these styles instead of the shipped ones; then nothing is gated`;

const { values } = parseArgs({
  options: {
    url: { type: "string" },
    key: { type: "string" },
    seed: { type: "string", default: "1" },
    scenes: { type: "string", default: "300" },
    gates: { type: "string", default: "default" },
    exam: { type: "string", default: "captions" },
    json: { type: "string" },
    markdown: { type: "boolean", default: false },
    sprites: { type: "string", multiple: true, default: [] },
  },
});

const seed = Number(values.seed);
const scenes = Number(values.scenes);
if (
  values.url === undefined ||
  values.key === undefined ||
  !Number.isInteger(seed) ||
  !Number.isInteger(scenes) ||
  scenes < 1 ||
  !["default", "test"].includes(values.gates) ||
  !["captions", "matching"].includes(values.exam)
) {
  console.error(usage);
  process.exit(2);
}

const unseen = values.sprites.length > 0;
const drawings = await openDrawings(unseen ? values.sprites : shippedSpriteFiles);
const ask = askOverHttp({ url: values.url, key: values.key });
const progress = (done: number): void => {
  if (done % 20 === 0) console.error(`${done} of ${scenes} scenes`);
};

const evaluation =
  values.exam === "matching"
    ? await evaluateMatching(ask, drawings, { seed, scenes, progress })
    : await evaluate(ask, drawings, { seed, scenes, gates: values.gates as GateSet, progress });
if ("byKind" in evaluation) console.log(matchingAsMarkdown(evaluation));
else console.log(values.markdown ? asMarkdown(evaluation) : asText(evaluation));
if (values.json !== undefined)
  await writeFile(values.json, `${JSON.stringify(evaluation, null, 1)}\n`);
const missed = evaluation.gates.filter(({ passed }) => !passed);
if (!unseen && missed.length > 0) {
  for (const { name, value, needed } of missed)
    console.error(`gate missed: ${name} ${value.toFixed(3)}, needs ${needed.toFixed(3)}`);
  process.exitCode = 1;
}
