// `npm run lab:search -- [--scenes N] [--queries N] [--seed N] [--precision NAME]`: search measured through the HTTP API
// on scenes that the embedded model has not seen: recall of each stage with standard errors, what 8 bits lose, and the
// curves and cut-offs for edge/src/search/calibrations.ts, fitted on one half of the queries and judged on the other.
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import type { Client } from "@blip2-edge/shared/client";
import type { SearchOptions, SearchResponse } from "@blip2-edge/shared/contracts/search";
import { fitLogistic, probabilityOf } from "../../edge/src/search/calibrate.ts";
import { openDrawings } from "../../gpu-node/nano/scenes/drawings.ts";
import { pictureOf, writeStatements, type StatedScene } from "../../gpu-node/nano/scenes/exam.ts";
import { holds } from "../../gpu-node/nano/scenes/statements.ts";
import { startStack } from "../start/stack.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "11" },
    scenes: { type: "string", default: "1000" },
    queries: { type: "string", default: "400" },
  },
});
const [seed, sceneCount, queryCount] = [values.seed, values.scenes, values.queries].map(Number) as [
  number,
  number,
  number,
];
const parallel = 4;
const say = (line: string): void => void process.stderr.write(`${line}\n`);

async function each<Item, Result>(
  items: readonly Item[],
  work: (item: Item, index: number) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  const go = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) {
      results[index] = await work(items[index] as Item, index);
      if (index % 100 === 99) say(`${index + 1} of ${items.length}`);
    }
  };
  await Promise.all(Array.from({ length: parallel }, go));
  return results;
}

const stages = {
  text_mean: { max_similarity: false },
  itc: {},
  itm: { rerank: true },
  hybrid: { hybrid: true },
} as const satisfies Record<string, SearchOptions>;
type Stage = keyof typeof stages;
const stageNames = Object.keys(stages) as Stage[];
const calibrated = ["text_mean", "itc", "itm"] as const;

interface Asked {
  readonly text: string;
  /** Ids that answer it; none: nothing does. */
  readonly answers: ReadonlySet<string>;
  readonly of: "there" | "another scene" | "nonsense";
}

const nonsense = (index: number): string => {
  const syllables = ["zor", "blick", "fen", "quam", "tup", "ral", "vex", "ombi"];
  const word = (at: number) =>
    `${syllables[(index * 7 + at * 3) % 8]}${syllables[(index * 5 + at) % 8]}`;
  return [0, 1, 2, 3].map(word).join(" ");
};

function questions(scenes: readonly StatedScene[], styles: readonly string[]): Asked[] {
  const idsFor = ({ statements }: StatedScene): Set<string> =>
    new Set(
      scenes.flatMap(({ scene }, index) =>
        holds(statements.whole.claims, scene) ? [`s${index}`] : [],
      ),
    );
  const there = scenes.slice(0, queryCount).map((stated): Asked => ({
    text: stated.statements.whole.text,
    answers: idsFor(stated),
    of: "there",
  }));
  const absent = writeStatements(seed + 5000, queryCount, styles)
    .map((stated): Asked => ({
      text: stated.statements.whole.text,
      answers: idsFor(stated),
      of: "another scene",
    }))
    .filter(({ answers }) => answers.size === 0);
  const noise = Array.from({ length: absent.length }, (_, index): Asked => ({
    text: nonsense(index),
    answers: new Set(),
    of: "nonsense",
  }));
  return [...there, ...absent.slice(0, queryCount / 2), ...noise.slice(0, queryCount / 2)];
}

interface Answered extends Asked {
  readonly found: Readonly<Record<Stage, SearchResponse>>;
}

const namespace = "lab";
const ask = async (client: Client, asked: Asked): Promise<Answered> => {
  const found: Partial<Record<Stage, SearchResponse>> = {};
  for (const stage of stageNames) {
    const options = { namespace, text: asked.text, min_score: 0, ...stages[stage] };
    found[stage] = await client.search(options);
  }
  return { ...asked, found: found as Record<Stage, SearchResponse> };
};

const rightWithin = ({ answers }: Asked, ids: readonly string[], k: number): boolean =>
  ids.slice(0, k).some((id) => answers.has(id));
const share = (list: readonly boolean[]): string => {
  const p = list.filter(Boolean).length / list.length;
  return `${p.toFixed(3)} ± ${Math.sqrt((p * (1 - p)) / list.length).toFixed(3)}`;
};
const topScore = ({ found }: Answered, stage: (typeof calibrated)[number]): number =>
  found[stage].hits[0]?.scores[stage] ?? -1;

/** Of the float vectors, by plain arithmetic. */
async function floatRanking(client: Client, scenes: readonly string[], asked: readonly Asked[]) {
  const pictures = await each(scenes, async (id) => {
    const { image_id: imageId } = await client.imageRead({ namespace, id });
    const { embedding } = await client.embed({ image: { image_id: imageId } });
    return { id, rows: embedding as number[][] };
  });
  return each(asked, async ({ text }) => {
    const query = (await client.embed({ text })).embedding as number[];
    const cosine = (row: readonly number[]) =>
      row.reduce((sum, value, at) => sum + value * (query[at] ?? NaN), 0);
    return pictures
      .map(({ id, rows }) => ({ id, score: Math.max(...rows.map(cosine)) }))
      .toSorted((a, b) => b.score - a.score)
      .slice(0, 10)
      .map(({ id }) => id);
  });
}

function report(answered: readonly Answered[], floats: readonly (readonly string[])[]): void {
  const there = answered.filter(({ of }) => of === "there");
  console.log(`\n| stage | recall@1 | recall@10 |\n| --- | ---: | ---: |`);
  const row = (name: string, idsOf: (index: number, one: Answered) => readonly string[]) => {
    const within = (k: number) =>
      share(there.map((one, index) => rightWithin(one, idsOf(index, one), k)));
    console.log(`| ${name} | ${within(1)} | ${within(10)} |`);
  };
  for (const stage of stageNames) {
    row(stage, (_, { found }) => found[stage].hits.map(({ id }) => id));
  }
  row("itc of float32 vectors", (index) => floats[index] ?? []);

  console.log(
    `\n| cut-off by | true ones refused | no match for another scene's caption | for nonsense |\n| --- | ---: | ---: | ---: |`,
  );
  for (const stage of calibrated) {
    const pairs = answered.map((one) => ({
      ...one,
      score: topScore(one, stage),
      answers: rightWithin(
        one,
        one.found[stage].hits.map(({ id }) => id),
        1,
      ),
    }));
    const [fit, judge] = [0, 1].map((half) => pairs.filter((_, index) => index % 2 === half));
    const curve = fitLogistic(fit ?? []);
    // Of those it was fitted on, one true query in thirty is refused.
    const true_ = (fit ?? []).filter(({ of }) => of === "there").map(({ score }) => score);
    const cut = true_.toSorted((a, b) => a - b)[Math.floor(true_.length / 30)] ?? 0;
    const minScore = probabilityOf(curve, cut);
    const refused = (of: Asked["of"]) =>
      share((judge ?? []).filter((one) => one.of === of).map(({ score }) => score < cut));
    console.log(
      `| ${stage} | ${refused("there")} | ${refused("another scene")} | ${refused("nonsense")} |`,
    );
    say(
      `${stage}: { slope: ${curve.slope.toFixed(3)}, intercept: ${curve.intercept.toFixed(3)}, minScore: ${minScore.toFixed(3)} }, at ${cut.toFixed(4)}`,
    );
  }
}

const stateDir = await mkdtemp(path.join(os.tmpdir(), "blip2-search-"));
try {
  const modelsDir = path.join(import.meta.dirname, "../../.blip2/models");
  const stack = await startStack({ stateDir, port: 0, modelsDir, say, log: () => {} });
  try {
    const { client } = stack;
    const drawings = await openDrawings();
    const scenes = writeStatements(seed, sceneCount, drawings.styles);
    const ids = scenes.map((_, index) => `s${index}`);
    const began = Date.now();
    await each(scenes, async ({ scene }, index) => {
      const bytes = await pictureOf(scene, drawings);
      await client.imagePut({ namespace, id: `s${index}`, image: { bytes } });
    });
    say(`${sceneCount} pictures indexed in ${((Date.now() - began) / 1000).toFixed(0)} s`);
    const asked = questions(scenes, drawings.styles);
    const answered = await each(asked, (one) => ask(client, one));
    const there = asked.filter(({ of }) => of === "there");
    report(answered, await floatRanking(client, ids, there));
  } finally {
    await stack.stop();
  }
} finally {
  await rm(stateDir, { recursive: true, force: true });
}
