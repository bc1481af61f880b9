// `npm run lab:real-shape -- --folder DIR`: checkpoints of the published shapes with random weights, built at every
// precision, loaded and asked for a caption, each in a process of its own; then the computed memory of all four
// generation models beside PyTorch's. Needs tens of gigabytes of disk; removes what it wrote. Prints Markdown.
import { mkdir, rm, statfs, writeFile } from "node:fs/promises";
import path from "node:path";
import { parseArgs } from "node:util";
import { measureProcess } from "./measure-process.ts";
import { deviceBytes } from "./device-bytes.ts";
import { isShapeName, publishedShapes, type ShapeName } from "./published-shapes.ts";
import { writeRandomCheckpoint } from "./random-checkpoint.ts";
import { precisions, type PrecisionName } from "../../gpu-node/src/quantize/recipe.ts";

const root = path.resolve(import.meta.dirname, "../..");
const cli = path.join(root, "gpu-node/src/cli/main.ts");
const picture = path.join(root, "gpu-node/nano/samples/two-owls-and-a-lion.png");
const newTokens = 12;
/** A build may hold this much beyond the checkpoint's largest tensor. */
const memoryBound = 2e9;

const { values } = parseArgs({
  options: {
    folder: { type: "string" },
    shape: { type: "string", multiple: true, default: ["blip2-opt-2.7b", "blip2-flan-t5-xl"] },
    precision: { type: "string", multiple: true, default: ["fp16", "int8", "int4"] },
    json: { type: "string" },
  },
});
const usage =
  "usage: npm run lab:real-shape -- --folder DIR [--shape NAME]... [--precision fp32|fp16|int8|int4]... [--json FILE]";

interface Row {
  readonly shape: ShapeName;
  readonly precision: PrecisionName;
  readonly artifactBytes: number;
  readonly buildSeconds: number;
  readonly buildPeakRssBytes: number;
  readonly largestTensorBytes: number;
  /** Of the sampled blocks. */
  readonly lowestCosine: number;
  readonly verifySeconds: number;
  readonly verifyPeakRssBytes: number;
  readonly captionSeconds: number;
  readonly captionPeakRssBytes: number;
  readonly tokenIds: readonly number[];
}

const say = (line: string): void => void process.stderr.write(`${line}\n`);
const gb = (bytes: number): string => (bytes / 1e9).toFixed(2);
const table = (rows: readonly (readonly (string | number)[])[]): string =>
  rows.map((row) => `| ${row.join(" | ")} |`).join("\n");

function lowestCosine(lines: string): number {
  const cosines = lines
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as { block?: string; cosine?: number })
    .flatMap(({ block, cosine }) => (block === undefined || cosine === undefined ? [] : [cosine]));
  if (cosines.length === 0) throw new Error("no block was compared");
  return Math.min(...cosines);
}

async function measure(
  shape: ShapeName,
  precision: PrecisionName,
  checkpoint: string,
  artifact: string,
): Promise<Row> {
  const run = (args: readonly string[], accepted?: readonly number[]) =>
    measureProcess(process.execPath, [cli, ...args, "--json"], accepted);
  say(`${shape} at ${precision}: building`);
  const built = await run([
    ...["build", checkpoint, "--out", artifact, "--name", shape],
    ...["--precision", precision, "--no-verify"],
  ]);
  say(`${shape} at ${precision}: comparing a sample of blocks`);
  // Random weights may fall short of a floor (status 1); the table shows by how much.
  const compared = await run(
    ["verify", artifact, "--against", checkpoint, "--blocks", "3", "--whole-max-bytes", "1"],
    [0, 1],
  );
  say(`${shape} at ${precision}: captioning`);
  const tokens = String(newTokens);
  const captioned = await run([
    ...["caption", picture, "--model", artifact],
    ...["--max-new-tokens", tokens, "--min-new-tokens", tokens],
  ]);
  const { bytes } = JSON.parse(built.stdout) as { bytes: number };
  const { token_ids: tokenIds } = JSON.parse(captioned.stdout) as { token_ids: number[] };
  if (tokenIds.length !== newTokens) throw new Error(`${tokenIds.length} tokens, not ${newTokens}`);
  return {
    shape,
    precision,
    artifactBytes: bytes,
    buildSeconds: built.seconds,
    buildPeakRssBytes: built.peakRssBytes,
    largestTensorBytes: deviceBytes(publishedShapes[shape], precision).largestTensor,
    lowestCosine: lowestCosine(compared.stdout),
    verifySeconds: compared.seconds,
    verifyPeakRssBytes: compared.peakRssBytes,
    captionSeconds: captioned.seconds,
    captionPeakRssBytes: captioned.peakRssBytes,
    tokenIds,
  };
}

async function measureShape(
  shape: ShapeName,
  wanted: readonly PrecisionName[],
  folder: string,
): Promise<Row[]> {
  const checkpoint = path.join(folder, `${shape}-checkpoint`);
  const artifact = path.join(folder, `${shape}-artifact`);
  try {
    say(`${shape}: writing random weights`);
    const bytes = await writeRandomCheckpoint({ ...publishedShapes[shape], folder: checkpoint });
    say(`${shape}: ${gb(bytes)} GB of checkpoint`);
    const rows: Row[] = [];
    for (const precision of wanted) {
      const { bavail, bsize } = await statfs(folder);
      const needed = deviceBytes(publishedShapes[shape], precision).weights;
      if (bavail * bsize < needed * 1.05) {
        say(`${shape} at ${precision}: left out, ${gb(needed)} GB do not fit the disk`);
        continue;
      }
      rows.push(await measure(shape, precision, checkpoint, artifact));
      await rm(artifact, { recursive: true });
    }
    return rows;
  } finally {
    await rm(checkpoint, { recursive: true, force: true });
    await rm(artifact, { recursive: true, force: true });
  }
}

/** Every shape at every precision: weights, with the caches of one and of eight captions, PyTorch's figure. */
function deviceTable(): { readonly text: string; readonly over: readonly string[] } {
  const over: string[] = [];
  const rows = Object.entries(publishedShapes).flatMap(([name, shape]) =>
    (["fp16", "int8", "int4"] as const).map((precision) => {
      const { weights, cache } = deviceBytes(shape, precision);
      const [alone, eight] = [weights + cache(1), weights + cache(8)];
      const quoted = shape.pytorchGb[precision];
      if (eight >= quoted * 1e9) over.push(`${name} at ${precision}: ${gb(eight)} of ${quoted} GB`);
      return [name, precision, gb(weights), gb(alone), gb(eight), quoted];
    }),
  );
  const head = ["model", "precision", "weights, GB", "and one caption", "and eight", "PyTorch, GB"];
  const rule = ["---", "---", "---:", "---:", "---:", "---:"];
  return { text: table([head, rule, ...rows]), over };
}

async function main(): Promise<void> {
  const shapes = values.shape.filter(isShapeName);
  const wanted = precisions.filter((name) => values.precision.includes(name));
  if (
    values.folder === undefined ||
    shapes.length < values.shape.length ||
    wanted.length < values.precision.length
  ) {
    console.error(usage);
    process.exitCode = 2;
    return;
  }
  const device = deviceTable();
  console.log(`${device.text}\n`);
  await mkdir(values.folder, { recursive: true });
  const rows: Row[] = [];
  for (const shape of shapes) rows.push(...(await measureShape(shape, wanted, values.folder)));
  const head = [
    "shape",
    "precision",
    "artifact, GB",
    "build, s",
    "its peak RSS, GB",
    "largest tensor, GB",
    "lowest cosine of a block",
    "verify, s",
    "its peak RSS, GB",
    "load and caption, s",
    "its peak RSS, GB",
  ];
  console.log(
    table([
      head,
      head.map((_, at) => (at < 2 ? "---" : "---:")),
      ...rows.map((row) => [
        row.shape,
        row.precision,
        gb(row.artifactBytes),
        row.buildSeconds.toFixed(0),
        gb(row.buildPeakRssBytes),
        gb(row.largestTensorBytes),
        row.lowestCosine.toFixed(5),
        row.verifySeconds.toFixed(0),
        gb(row.verifyPeakRssBytes),
        row.captionSeconds.toFixed(1),
        gb(row.captionPeakRssBytes),
      ]),
    ]),
  );
  if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(rows, null, 1)}\n`);
  const heavy = rows.filter((row) => row.buildPeakRssBytes > row.largestTensorBytes + memoryBound);
  for (const { shape, precision } of heavy)
    say(`${shape} at ${precision}: the build took too much memory`);
  for (const line of device.over) say(`more than PyTorch: ${line}`);
  if (heavy.length + device.over.length > 0) process.exitCode = 1;
}

await main();
