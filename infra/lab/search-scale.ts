// `npm run lab:search-scale -- [--sizes 1000,10000,100000]`: the embedded index as it grows, with vectors of BLIP-2's own
// shape (32 of 256): time of each stage of a text query, storage and memory for each picture. It runs the index's own
// code over SQLite in this process; a Durable Object adds its call. Vectors are drawn, so it says nothing of recall.
import { mkdtemp, rm, stat } from "node:fs/promises";
import { DatabaseSync } from "node:sqlite";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import type { RankRequest } from "../../edge/src/search/image-index.ts";
import { normalised } from "../../edge/src/search/quantise.ts";
import { sqlIndex } from "../../edge/src/search/sql-index.ts";
import { createRandom } from "../../gpu-node/nano/scenes/random.ts";

const { values } = parseArgs({
  options: { sizes: { type: "string", default: "1000,10000,100000" } },
});
const sizes = values.sizes.split(",").map(Number);
const [rows, dim, queries] = [32, 256, 50];
const by = { model: "drawn", modelRevision: "0".repeat(16) };

/** Pictures differ in which of the drawn vectors they have, which costs as much as drawing each. */
const random = createRandom(5);
const pool = normalised(
  Float32Array.from({ length: 2048 * dim }, () => random.next() - 0.5),
  dim,
);
const drawn = (count: number): Float32Array => {
  const out = new Float32Array(count * dim);
  for (let row = 0; row < count; row++) {
    const at = random.below(2048) * dim;
    out.set(pool.subarray(at, at + dim), row * dim);
  }
  return out;
};

const folder = await mkdtemp(path.join(os.tmpdir(), "blip2-scale-"));
const file = path.join(folder, "index.db");
const db = new DatabaseSync(file);
db.exec("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF");
const open = () =>
  sqlIndex({
    sql: {
      exec(query, ...bound) {
        const found = db.prepare(query).all(...bound);
        return { toArray: () => found };
      },
    },
    atomically: (work) => work(),
    maxRecords: Infinity,
  });
const index = open();

const ms = (value: number): string => value.toFixed(1);
function timed(request: Omit<RankRequest, "by">): string {
  const times = Array.from({ length: queries }, () => {
    const began = performance.now();
    index.rank({ by, ...request, text: drawn(1) });
    return performance.now() - began;
  }).toSorted((a, b) => a - b);
  return `${ms(times[Math.floor(queries / 2)] ?? NaN)} / ${ms(times.at(-1) ?? NaN)}`;
}

console.log(
  "| pictures | averages, p50 / worst of 50, ms | with max-similarity | with words | put, ms | bytes on disk a picture | first query after waking, ms |",
);
console.log("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
try {
  let held = 0;
  for (const size of sizes) {
    const [from, began] = [held, performance.now()];
    db.exec("BEGIN");
    for (; held < size; held++) {
      const record = {
        ...{ id: `p${held}`, imageId: `img_${held.toString(16).padStart(64, "0")}`, exact: true },
        ...{ source: null, title: `number ${held % 997}`, text: null, tags: [], metadata: {} },
        caption: `a thing ${held % 61} and a thing ${held % 59} on a ground`,
      };
      index.put({ record, by, vectors: drawn(rows), dim, now: 0 });
    }
    db.exec("COMMIT");
    const put = (performance.now() - began) / (held - from);
    const bytes = (await stat(file)).size / held;
    const waking = performance.now();
    open().rank({ by, candidates: 200, maxSimilarity: true, text: drawn(1) });
    const woken = performance.now() - waking;
    const averages = timed({ candidates: 200, maxSimilarity: false });
    const exact = timed({ candidates: 200, maxSimilarity: true });
    const words = timed({ candidates: 200, maxSimilarity: true, words: "a thing 7 on a ground" });
    console.log(
      `| ${held} | ${averages} | ${exact} | ${words} | ${ms(put)} | ${bytes.toFixed(0)} | ${ms(woken)} |`,
    );
  }
} finally {
  db.close();
  await rm(folder, { recursive: true, force: true });
}
