// `npm run lab:search-scale -- [--sizes 1000,10000,100000] [--queries 200] [--plot FILE.svg]`: one namespace of the
// product's Worker as it grows, in workerd through Miniflare and through HTTP, with vectors of BLIP-2's own shape (32
// of 256): each way of asking, the first search after waking, storage and memory for each picture. Every query has
// a text of its own, so its vector is asked of a node, which draws it at once. Vectors are drawn: it says nothing of
// recall. The machine should be quiet.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { createClient, type Client } from "@blip2-edge/shared/client";
import { scopes } from "@blip2-edge/shared/contracts/keys";
import type { SearchOptions } from "@blip2-edge/shared/contracts/search";
import { createApiKey } from "../../edge/src/auth/api-key.ts";
import { drawLines, type Line } from "../../gpu-node/src/evaluate/line-plot.ts";
import { drawnPhoto } from "../../test/support/photos.ts";
import { startWorker, type RunningWorker } from "../start/worker.ts";
import { startDrawnNode } from "./drawn-node.ts";

const { values } = parseArgs({
  options: {
    sizes: { type: "string", default: "1000,10000,100000" },
    queries: { type: "string", default: "200" },
    plot: { type: "string" },
  },
});
const sizes = values.sizes.split(",").map(Number);
const queries = Number(values.queries);
const namespace = "scale";
/** Of one call: an object answers nobody else meanwhile. */
const filledAtOnce = 250;
const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** edge/lab/scale-worker.ts */
interface Filled {
  fill(from: number, to: number): Promise<void>;
  bytes(): Promise<number>;
}

const ways = {
  "averages alone": { max_similarity: false },
  "with max-similarity (default)": {},
  "default, a filter that leaves a tenth": { filter: { metadata: { decade: 1950 } } },
  "with words (hybrid)": { hybrid: true },
} as const satisfies Record<string, SearchOptions>;
const byPicture = "by a picture";

interface Times {
  readonly p50: number;
  readonly p99: number;
}
interface Measured {
  readonly size: number;
  readonly times: ReadonlyMap<string, Times>;
  readonly putMs: number;
  readonly storedBytes: number;
  readonly heldBytes: number;
  readonly wakingMs: number;
}

function timesOf(taken: readonly number[]): Times {
  const sorted = taken.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))] ?? NaN;
  return { p50: at(0.5), p99: at(0.99) };
}

async function rssOf(worker: RunningWorker): Promise<number> {
  let sum = 0;
  for (const { pid } of worker.pids()) {
    const status = await readFile(`/proc/${pid}/status`, "utf8");
    sum += Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
  }
  return sum;
}

let asked = 0;
/** Words that stand in a few records, in many and in all. */
const nextText = (): string =>
  `a thing ${(asked += 1) % 61} near number ${asked % 997} on a ground`;

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

async function each(ask: () => Promise<unknown>): Promise<Times> {
  for (let warm = 0; warm < 10; warm += 1) await ask();
  const taken: number[] = [];
  for (let query = 0; query < queries; query += 1) taken.push(await timed(ask));
  return timesOf(taken);
}

const stateDir = await mkdtemp(path.join(os.tmpdir(), "blip2-scale-"));
const node = await startDrawnNode();
const { key } = await createApiKey();
const start = async () => {
  const worker = await startWorker({
    ...{ port: 0, stateDir, nodeUrl: node.url, nodeKeys: node.keys },
    entry: "lab/scale-worker.ts",
    vars: { CATALOG_TTL_MS: "600000", KEY_TTL_MS: "600000", PURGE_TTL_MS: "600000" },
  });
  await worker.putKey({ key, tenant: "lab", name: "lab", scopes });
  const index = (await worker.object("NAMESPACE_INDEX", `lab/${namespace}`)) as Filled;
  return { worker, index, client: createClient({ url: worker.url, key }) };
};
const search = (client: Client, options: SearchOptions) =>
  client.search({ namespace, text: nextText(), ...options });

const picture = await drawnPhoto((x, y, _, random) => ((x ^ y) & 127) + (random % 24), [320, 240]);
const measured: Measured[] = [];
let running = await start();
try {
  let held = 0;
  for (const size of sizes) {
    const from = held;
    const filling = await timed(async () => {
      for (; held < size; held = Math.min(size, held + filledAtOnce)) {
        await running.index.fill(held, Math.min(size, held + filledAtOnce));
      }
    });
    say(`${size} pictures put`);
    const storedBytes = await running.index.bytes();
    // Twice: the first waking makes what the second reads.
    await search(running.client, {});
    await running.worker.stop();
    running = await start();
    // Another namespace: all but this one's object is awake.
    await running.client.search({ namespace: "other", text: nextText() });
    await running.client.embed({ text: nextText() });
    const before = await rssOf(running.worker);
    const wakingMs = await timed(() => search(running.client, {}));
    const heldBytes = (await rssOf(running.worker)) - before;
    const times = new Map<string, Times>();
    for (const [name, options] of Object.entries(ways)) {
      times.set(name, await each(() => search(running.client, options)));
    }
    times.set(
      byPicture,
      await each(() => running.client.search({ namespace, image: { bytes: picture } })),
    );
    measured.push({
      ...{ size, times, wakingMs, storedBytes, heldBytes, putMs: filling / (size - from) },
    });
    say(`${size}: ${[...times].map(([name, { p50 }]) => `${name} ${p50.toFixed(1)}`).join(", ")}`);
  }
} finally {
  await running.worker.stop();
  node.stop();
  await rm(stateDir, { recursive: true, force: true });
}

const names = [...Object.keys(ways), byPicture];
const ms = (value: number | undefined): string => (value ?? NaN).toFixed(1);
console.log(
  `${queries} queries for each figure, p50 / p99 of the whole request, ms; ${os.cpus().length} cores.\n`,
);
console.log(
  `| pictures | ${names.join(" | ")} | put | first after waking | stored a picture, bytes | held a picture, bytes |`,
);
console.log(`| ${["", ...names, "", "", "", ""].map(() => "---:").join(" | ")} |`);
for (const { size, times, putMs, wakingMs, storedBytes, heldBytes } of measured) {
  const cells = names.map((name) => `${ms(times.get(name)?.p50)} / ${ms(times.get(name)?.p99)}`);
  console.log(
    `| ${size} | ${cells.join(" | ")} | ${ms(putMs)} | ${ms(wakingMs)} | ${(storedBytes / size).toFixed(0)} | ${(heldBytes / size).toFixed(0)} |`,
  );
}

if (values.plot !== undefined) {
  const points = (of: (one: Measured) => number | undefined) =>
    measured.map((one) => ({ x: one.size, y: of(one) ?? NaN }));
  const lines: Line[] = [
    ...names.map((name) => ({ name, points: points(({ times }) => times.get(name)?.p50) })),
    { name: "first after waking", points: points(({ wakingMs }) => wakingMs) },
  ];
  const bytes: Line[] = [
    { name: "storage", points: points(({ storedBytes, size }) => storedBytes / size) },
    { name: "memory", points: points(({ heldBytes, size }) => heldBytes / size) },
  ];
  await writeFile(
    values.plot,
    drawLines({
      title: "A namespace as it grows",
      subtitle: "through HTTP, in workerd; pictures from left to right, both axes by powers of ten",
      charts: [
        { title: "p50 of a search without ITM, ms", lines },
        { title: "bytes a picture", lines: bytes },
      ],
    }),
  );
}
