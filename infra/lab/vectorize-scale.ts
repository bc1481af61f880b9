// `npm run lab:vectorize-scale -- [--pictures 100000]`: what is left to the index when Vectorize names the candidates: a search,
// a put and a move of all pictures, beside the exact scan, with vectors of BLIP-2's shape. In Vectorize's place stands
// nothing: it takes every write at once and answers with ids drawn at random, so its own time and recall are not in it.
import { mkdtemp, rm } from "node:fs/promises";
import { DatabaseSync } from "node:sqlite";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { candidateIndex } from "../../edge/src/search/candidate-index.ts";
import type { RankRequest } from "../../edge/src/search/image-index.ts";
import { normalised } from "../../edge/src/search/quantise.ts";
import type { VectorIndex } from "../../edge/src/search/vectorize.ts";
import { createRandom } from "../../gpu-node/nano/scenes/random.ts";

const { values } = parseArgs({ options: { pictures: { type: "string", default: "100000" } } });
const pictures = Number(values.pictures);
const [rows, dim, queries, tagged] = [32, 256, 50, 20_000];
const by = { model: "drawn", modelRevision: "0".repeat(16) };

const random = createRandom(6);
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

const held = new Map<string, string[]>();
const stub: VectorIndex = {
  async query(_vector, { topK, namespace }) {
    const ids = held.get(namespace) ?? [];
    const matches = Array.from({ length: Math.min(topK, ids.length) }, () => ({
      id: ids[random.below(ids.length)] ?? "",
    }));
    return { matches };
  },
  async upsert(vectors) {
    for (const { id, namespace } of vectors) {
      const ids = held.get(namespace) ?? [];
      ids.push(id);
      held.set(namespace, ids);
    }
    return { mutationId: "last" };
  },
  deleteByIds: async () => ({ mutationId: "last" }),
  getByIds: async (ids) => ids.map((id) => ({ id })),
  describe: async () => ({ dimensions: dim, processedUpToMutation: "last" }),
};

const folder = await mkdtemp(path.join(os.tmpdir(), "blip2-vectorize-"));
const db = new DatabaseSync(path.join(folder, "index.db"));
db.exec("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF");
const index = candidateIndex({
  sql: {
    exec(query, ...bound) {
      const found = db.prepare(query).all(...bound);
      return { toArray: () => found };
    },
  },
  atomically: (work) => work(),
  vectors: stub,
  ...{ wake: () => {}, tell: console.error, now: Date.now, drawPlace: () => "0".repeat(32) },
});

const ms = (value: number): string => value.toFixed(1);
async function timed(work: () => Promise<unknown>): Promise<string> {
  const times: number[] = [];
  for (let n = 0; n < queries; n++) {
    const began = performance.now();
    await work();
    times.push(performance.now() - began);
  }
  times.sort((a, b) => a - b);
  return `${ms(times[Math.floor(queries / 2)] ?? NaN)} / ${ms(times.at(-1) ?? NaN)}`;
}
let next = 0;
const put = () => {
  const at = next++;
  const record = {
    ...{ id: `p${at}`, imageId: `img_${at.toString(16).padStart(64, "0")}`, exact: true },
    ...{ source: null, title: null, text: null, metadata: {}, caption: null, autoTags: [] },
    tags: at < tagged ? ["few"] : ["many"],
  };
  return index.put({ record, by, vectors: drawn(rows), dim, now: 0 });
};
const search = (more: Partial<RankRequest> = {}) =>
  index.rank({ ...{ by, candidates: 200, maxSimilarity: true, text: drawn(1) }, ...more });

try {
  db.exec("BEGIN");
  for (let at = 0; at < pictures; at++) await put();
  db.exec("COMMIT");
  console.log(`${pictures} pictures; p50 / worst of ${queries}, ms`);
  const few = { filter: { tags: { any: ["few"] } } };
  const many = { filter: { tags: { any: ["many"] } } };
  for (const store of ["embedded", "vectorize"] as const) {
    if (store === "vectorize") {
      const began = performance.now();
      await index.moveCandidates("vectorize");
      console.log(`move: ${ms(performance.now() - began)} ms to begin`);
      let againMs: number | undefined;
      do againMs = await index.pump();
      while (againMs !== undefined);
      console.log(`move: ${ms(performance.now() - began)} ms in all`);
    }
    await search();
    console.log(`${store}: search ${await timed(() => search())}`);
    console.log(`${store}: filter of ${tagged} ${await timed(() => search(few))}`);
    console.log(`${store}: filter of the rest ${await timed(() => search(many))}`);
    console.log(`${store}: put ${await timed(put)}`);
  }
  console.log(`${queries} wait: search ${await timed(() => search())}`);
} finally {
  db.close();
  await rm(folder, { recursive: true, force: true });
}
