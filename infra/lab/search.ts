// `npm run lab:search -- [--scenes N] [--queries N] [--seed N]`: search measured through the HTTP API on scenes that the
// embedded model has not seen: recall of each stage with standard errors, what 8 bits lose, and what the default
// cut-offs refuse, which the calibration beside the artifact says (measured on other scenes: gpu-node/nano/README.md).
// Queries are whole captions and, as people mostly ask, statements that say less.
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import type { Client } from "@blip2-edge/shared/client";
import type { ImageRecord } from "@blip2-edge/shared/contracts/images";
import type { SearchOptions, SearchResponse } from "@blip2-edge/shared/contracts/search";
import { captionTags } from "../../edge/src/search/caption-tags.ts";
import { openDrawings } from "../../gpu-node/nano/scenes/drawings.ts";
import { pictureOf, writeStatements, type StatedScene } from "../../gpu-node/nano/scenes/exam.ts";
import { holds } from "../../gpu-node/nano/scenes/statements.ts";
import { things } from "../../gpu-node/nano/scenes/vocabulary.ts";
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

/** As many as one request may name. */
const labels: ReadonlySet<string> = new Set(things.slice(0, 64).map(({ noun }) => noun));

const kinds = ["whole", "partial"] as const;
interface Asked {
  readonly text: string;
  /** Ids that answer it; none: nothing does. */
  readonly answers: ReadonlySet<string>;
  /** `other`: true of scenes that are not there. */
  readonly of: (typeof kinds)[number] | `other ${(typeof kinds)[number]}` | "nonsense";
}
const isThere = ({ answers }: Asked): boolean => answers.size > 0;

const nonsense = (index: number): string => {
  const syllables = ["zor", "blick", "fen", "quam", "tup", "ral", "vex", "ombi"];
  const word = (at: number) =>
    `${syllables[(index * 7 + at * 3) % 8]}${syllables[(index * 5 + at) % 8]}`;
  return [0, 1, 2, 3].map(word).join(" ");
};

function questions(scenes: readonly StatedScene[], styles: readonly string[]): Asked[] {
  const answersTo = (claims: StatedScene["statements"]["whole"]["claims"]): Set<string> =>
    new Set(scenes.flatMap(({ scene }, index) => (holds(claims, scene) ? [`s${index}`] : [])));
  const others = writeStatements(seed + 5000, 4 * queryCount, styles);
  const asked = kinds.flatMap((kind) => {
    const askedOf = (list: readonly StatedScene[], of: Asked["of"]): Asked[] =>
      list.map(({ statements }) => {
        const { text, claims } = statements[kind];
        return { text, answers: answersTo(claims), of };
      });
    const absent = askedOf(others, `other ${kind}`).filter((one) => !isThere(one));
    return [...askedOf(scenes.slice(0, queryCount), kind), ...absent.slice(0, queryCount / 2)];
  });
  const noise = Array.from({ length: queryCount / 2 }, (_, index): Asked => ({
    text: nonsense(index),
    answers: new Set(),
    of: "nonsense",
  }));
  return [...asked, ...noise];
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

function report(
  answered: readonly Answered[],
  floats: readonly (readonly string[])[],
  cuts: ReadonlyMap<string, number>,
): void {
  const there = answered.filter(isThere);
  console.log(
    `\n| stage | ${kinds.map((kind) => `${kind}: recall@1 | recall@10`).join(" | ")} |\n| --- | ---: | ---: | ---: | ---: |`,
  );
  const row = (name: string, idsOf: (index: number, one: Answered) => readonly string[]) => {
    const cells = kinds.flatMap((kind) =>
      [1, 10].map((k) =>
        share(
          there.flatMap((one, index) =>
            one.of === kind ? [rightWithin(one, idsOf(index, one), k)] : [],
          ),
        ),
      ),
    );
    console.log(`| ${name} | ${cells.join(" | ")} |`);
  };
  for (const stage of stageNames) {
    row(stage, (_, { found }) => found[stage].hits.map(({ id }) => id));
  }
  row("itc of float32 vectors", (index) => floats[index] ?? []);

  const groups = ["whole", "partial", "other whole", "other partial", "nonsense"] as const;
  console.log(
    `\n| cut-off by | refused: ${groups.slice(0, 2).join(" | refused: ")} | no match: ${groups.slice(2).join(" | no match: ")} |\n| --- | ---: | ---: | ---: | ---: | ---: |`,
  );
  for (const stage of calibrated) {
    const cells = groups.map((of) => {
      const list = answered.filter((one) => one.of === of);
      // Where the first hit is wrong, a refusal refuses nothing that is right.
      const counted = isThereGroup(of)
        ? list.filter((one) =>
            rightWithin(
              one,
              one.found[stage].hits.map(({ id }) => id),
              1,
            ),
          )
        : list;
      const cut = cuts.get(stage) ?? 0;
      return share(counted.map(({ found }) => (found[stage].hits[0]?.score ?? 0) < cut));
    });
    console.log(`| ${stage}, ${cuts.get(stage)} | ${cells.join(" | ")} |`);
  }
}
/** Tags by models beside the nouns of the scenes; a caption's other words (backgrounds, parts of names) do not count. */
function reportTags(scenes: readonly StatedScene[], records: readonly ImageRecord[]): void {
  console.log(`\n| tags from | precision | recall |\n| --- | ---: | ---: |`);
  for (const [from, vocabulary] of [
    ["caption", new Set(things.map(({ noun }) => noun))],
    ["label", labels],
  ] as const) {
    const [right, found]: boolean[][] = [[], []];
    for (const [index, { scene }] of scenes.entries()) {
      const nouns = new Set(scene.groups.map(({ noun }) => noun));
      // A tag of both kinds is shown as a label.
      const named = from === "caption" ? captionTags(records[index]?.caption ?? "") : undefined;
      const told = (records[index]?.auto_tags ?? []).filter((each) => each.from === "label");
      const tags = new Set(
        (named ?? told.map(({ tag }) => tag)).filter((tag) => vocabulary.has(tag)),
      );
      for (const tag of tags) right?.push(nouns.has(tag));
      for (const noun of nouns) if (vocabulary.has(noun)) found?.push(tags.has(noun));
    }
    console.log(`| ${from} | ${share(right ?? [])} | ${share(found ?? [])} |`);
  }
}

const isThereGroup = (of: Asked["of"]): boolean => of === "whole" || of === "partial";

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
    const records = await each(scenes, async ({ scene }, index) => {
      const bytes = await pictureOf(scene, drawings);
      const auto_tags = { labels: [...labels] };
      return client.imagePut({ namespace, id: `s${index}`, image: { bytes }, auto_tags });
    });
    say(`${sceneCount} pictures indexed in ${((Date.now() - began) / 1000).toFixed(0)} s`);
    reportTags(scenes, records);
    const asked = questions(scenes, drawings.styles);
    const answered = await each(asked, (one) => ask(client, one));
    const cuts = new Map<string, number>();
    for (const stage of calibrated) {
      const { min_score: cut } = await client.search({ namespace, text: "a", ...stages[stage] });
      cuts.set(stage, cut);
    }
    report(answered, await floatRanking(client, ids, asked.filter(isThere)), cuts);
  } finally {
    await stack.stop();
  }
} finally {
  await rm(stateDir, { recursive: true, force: true });
}
