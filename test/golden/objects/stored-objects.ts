// The Durable Objects that keep tables, as today's code opens them over SQLite: what each is made to hold, and what it
// tells of that afterwards while it goes on with its work. Times are given, so that every run tells the same.
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { z } from "zod";
import { noLimits } from "../../../edge/src/auth/caller.ts";
import { createRoster } from "../../../edge/src/nodes/roster.ts";
import { candidateIndex } from "../../../edge/src/search/candidate-index.ts";
import { createLedger } from "../../../edge/src/usage/ledger.ts";
import { memoryIndex, type MemoryIndex } from "../../support/memory-index.ts";

export interface StoredObject {
  fill(memory: MemoryIndex): Promise<void> | void;
  /** Reads what `fill` left, works a little more, and gives what it was told. */
  goOn(memory: MemoryIndex): Promise<unknown>;
}

const now = Date.UTC(2026, 10, 30, 12);
const node = (seq: number, name: string) => ({
  url: `https://${name}.example.com`,
  keyId: "node-1",
  heartbeat: {
    url: `https://${name}.example.com`,
    ...{ version: "1", started_at: 50, seq, state: "ready" as const, models: [] },
    capacity: { weight: 2, max_jobs: 10, max_work_ms: 1000 },
    load: { jobs: 1, work_ms: 20 },
  },
});
const limits = { ...noLimits, inferencesPerDay: 100, inferencesPerMonth: 1000, concurrency: 4 };
const reservation = (lease: string, units: number) => ({ lease, units, limits, ttlMs: 60_000 });

const by = { model: "m", modelRevision: "0123456789abcdef" };
const dim = 4;
/** Two vectors, the first along axis `at`. */
const vectorsOf = (at: number): Float32Array =>
  Float32Array.from({ length: 2 * dim }, (_, index) =>
    index < dim ? Number(index === at) : Math.SQRT1_2 * Number(index % dim === at || index === 7),
  );
const openIndex = ({ sql, atomically }: MemoryIndex) =>
  candidateIndex({
    ...{ sql, atomically, vectors: undefined },
    wake: () => {},
    drawPlace: () => "0".repeat(32),
    now: () => now,
    tell: () => {},
  });
const put = (index: ReturnType<typeof openIndex>, id: string, at: number) =>
  index.put({
    record: {
      ...{ id, imageId: `img_${String(at).repeat(64)}`, exact: at !== 2 },
      ...{ source: "https://example.com/a.jpg", title: `number ${id}`, text: "some words" },
      ...{ tags: ["red"], metadata: { shelf: at, open: true, name: "x" }, caption: "a cube" },
      autoTags: [{ tag: "cube", from: "caption" }],
    },
    ...{ by, dim, now, vectors: vectorsOf(at) },
    kept: { thumbnailAt: now, originalAt: at === 1 ? now : null },
  });

export const storedObjects: Readonly<Record<string, StoredObject>> = {
  KeyMeter: {
    fill({ sql }) {
      const ledger = createLedger(sql);
      for (const lease of ["a", "b", "c"]) ledger.reserve(reservation(lease, 3), now);
      ledger.settle("a", now);
      ledger.refund("b", now);
    },
    async goOn({ sql }) {
      const ledger = createLedger(sql);
      return {
        before: ledger.days("2026-11-01", "2026-11-30", now),
        reserved: ledger.reserve(reservation("d", 2), now),
        settled: [ledger.settle("c", now), ledger.settle("d", now)],
        after: ledger.days("2026-11-01", "2026-11-30", now),
      };
    },
  },
  NodeRegistry: {
    fill({ sql }) {
      const roster = createRoster(sql);
      for (const name of ["gpu-1", "gpu-2"]) roster.hear(node(3, name), 30_000, now);
    },
    async goOn({ sql }) {
      const roster = createRoster(sql);
      return {
        before: roster.list(now + 1000),
        heard: [2, 4].map((seq) => roster.hear(node(seq, "gpu-1"), 60_000, now + 2000)),
        after: roster.list(now + 40_000).map(({ url }) => url),
      };
    },
  },
  NamespaceIndex: {
    async fill(memory) {
      const index = openIndex(memory);
      await index.configure({ keepOriginals: true });
      for (const at of [1, 2, 3]) await put(index, `p${at}`, at);
      await index.remove("p3");
    },
    async goOn(memory) {
      const index = openIndex(memory);
      const nearest = async (at: number) => {
        const found = await index.rank({
          ...{ by, candidates: 1, maxSimilarity: true, text: vectorsOf(at).slice(0, dim) },
        });
        return found.kind === "ranked" ? found.records.map(({ id }) => id) : found.kind;
      };
      return {
        before: [await index.describe(), await index.candidates(), await index.list(null, 10)],
        nearest: [await nearest(1), await nearest(2)],
        put: (await put(index, "p4", 0)).kind,
        after: [await nearest(0), await index.describe()],
      };
    },
  },
};

export const objectsGoldenSchema = z.strictObject({
  version: z.string(),
  objects: z.record(
    z.string(),
    /** The SQLite file, gzipped, in base64; what is told of it. */
    z.strictObject({ file: z.base64(), told: z.unknown() }),
  ),
});
export type ObjectsGolden = z.infer<typeof objectsGoldenSchema>;

const fileIn = (folder: string): string => path.join(folder, `${crypto.randomUUID()}.sqlite`);

/** `folder`: for a file on its way. */
function packed({ db }: MemoryIndex, folder: string): string {
  const file = fileIn(folder);
  db.prepare("VACUUM INTO ?").run(file);
  return gzipSync(readFileSync(file), { level: 9 }).toString("base64");
}
/** A file in `folder`, which must outlive it. */
export function unpacked(base64: string, folder: string): MemoryIndex {
  const file = fileIn(folder);
  writeFileSync(file, gunzipSync(Buffer.from(base64, "base64")));
  return memoryIndex(file);
}

export async function makeObjectsGolden(version: string, folder: string): Promise<ObjectsGolden> {
  const objects: ObjectsGolden["objects"] = {};
  for (const [name, object] of Object.entries(storedObjects)) {
    const memory = memoryIndex();
    await object.fill(memory);
    const file = packed(memory, folder);
    objects[name] = { file, told: JSON.parse(JSON.stringify(await object.goOn(memory))) };
  }
  return { version, objects };
}
