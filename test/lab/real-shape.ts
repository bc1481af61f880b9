// `npm run lab:real-shape -- --dir SCRATCH [--shapes A,B] [--precisions A,B] [--json FILE]`: what building and
// running the published shapes costs on this machine, with random weights. Needs a quiet machine and room:
// the checkpoint and one artifact at a time, 16 GB for opt-2.7b at fp16. Deletes what it wrote.
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { parseArgs } from "node:util";
import { openArtifact } from "../../gpu-node/src/artifact/open-artifact.ts";
import { type PrecisionName, precisions } from "../../gpu-node/src/quantize/recipe.ts";
import { deviceBytes, deviceTable } from "./device-bytes.ts";
import { type ShapeName, shapes } from "./published-shapes.ts";
import { writeRandomCheckpoint } from "./random-checkpoint.ts";

const usage =
  "usage: real-shape.ts --dir SCRATCH [--shapes opt-2.7b,flan-t5-xl] [--precisions int8,int4,fp16] [--json FILE]";
const root = path.join(import.meta.dirname, "../..");
const cli = path.join(root, "gpu-node/src/cli/main.ts");
const picture = path.join(root, "test/golden/picture.png");
const newTokens = 12;
const say = (line: string) => process.stderr.write(`${line}\n`);

interface Measured {
  readonly seconds: number;
  /** Largest resident size, files that are mapped included. */
  readonly peakBytes: number;
  readonly stdout: string;
}

interface Row {
  readonly shape: ShapeName;
  readonly precision: PrecisionName;
  readonly checkpointBytes: number;
  readonly artifactBytes: number;
  readonly build: Omit<Measured, "stdout">;
  readonly caption: Omit<Measured, "stdout"> & { readonly text: string };
}

/** Runs `blip2 ...` as a process of its own, which writes down its peak when it exits. */
async function measure(args: readonly string[], peakFile: string): Promise<Measured> {
  const hook = `import { writeFileSync } from "node:fs";
    process.on("exit", () => writeFileSync(process.env.PEAK_FILE, String(process.resourceUsage().maxRSS)));`;
  const startMs = performance.now();
  const child = spawn(
    process.execPath,
    ["--import", `data:text/javascript,${encodeURIComponent(hook)}`, cli, ...args],
    { stdio: ["ignore", "pipe", "inherit"], env: { ...process.env, PEAK_FILE: peakFile } },
  );
  let stdout = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  const status = await new Promise<string | number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve(signal ?? code));
  });
  if (status !== 0) throw new Error(`blip2 ${args.join(" ")} ended with ${status}`);
  const seconds = (performance.now() - startMs) / 1000;
  const peakBytes = 1024 * Number(await readFile(peakFile, "utf8"));
  await rm(peakFile);
  return { seconds, peakBytes, stdout };
}

async function measureArtifact(
  folder: string,
  shape: ShapeName,
  checkpointBytes: number,
  precision: PrecisionName,
): Promise<Row> {
  const checkpoint = path.join(folder, shape);
  const artifact = path.join(folder, `${shape}-${precision}`);
  const peakFile = path.join(folder, "peak");
  try {
    say(`building ${shape} at ${precision}`);
    const build = await measure(
      ["build", checkpoint, "--out", artifact, "--precision", precision],
      peakFile,
    );
    const { manifest } = await openArtifact(artifact);
    const artifactBytes = Object.values(manifest.files).reduce((sum, { bytes }) => sum + bytes, 0);
    say(`captioning with ${shape} at ${precision}`);
    const length = String(newTokens);
    const caption = await measure(
      [
        ...["caption", picture, "--model", artifact, "--json"],
        ...["--max-new-tokens", length, "--min-new-tokens", length],
      ],
      peakFile,
    );
    const said = JSON.parse(caption.stdout) as { text: string; token_ids: number[] };
    if (said.token_ids.length !== newTokens) throw new Error(`not ${newTokens}: ${caption.stdout}`);
    const costOf = ({ seconds, peakBytes }: Measured) => ({ seconds, peakBytes });
    return {
      shape,
      precision,
      checkpointBytes,
      artifactBytes,
      build: costOf(build),
      caption: { ...costOf(caption), text: said.text },
    };
  } finally {
    await rm(artifact, { recursive: true, force: true });
  }
}

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(2)} GB`;

const costTable = (rows: readonly Row[]): string[] => [
  `| shape | precision | checkpoint | artifact | build | peak of the build | load and ${newTokens} tokens | peak of the caption |`,
  "| --- | --- | --- | --- | --- | --- | --- | --- |",
  ...rows.map(
    ({ shape, precision, checkpointBytes, artifactBytes, build, caption }) =>
      `| ${[
        shape,
        precision,
        gigabytes(checkpointBytes),
        gigabytes(artifactBytes),
        `${build.seconds.toFixed(0)} s`,
        gigabytes(build.peakBytes),
        `${caption.seconds.toFixed(1)} s`,
        gigabytes(caption.peakBytes),
      ].join(" | ")} |`,
  ),
];

/** The words of a comma-separated flag, all of which `known` must have. */
function choose<T extends string>(text: string, known: readonly T[], flag: string): T[] {
  return text.split(",").map((word) => {
    const found = known.find((each) => each === word);
    if (found === undefined) {
      throw new Error(`--${flag} ${word}: known are ${known.join(", ")}\n${usage}`);
    }
    return found;
  });
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      dir: { type: "string" },
      shapes: { type: "string", default: "opt-2.7b,flan-t5-xl" },
      precisions: { type: "string", default: "int8,int4,fp16" },
      json: { type: "string" },
    },
  });
  if (values.dir === undefined) throw new Error(`--dir is missing\n${usage}`);
  const wanted = choose(values.shapes, Object.keys(shapes) as ShapeName[], "shapes");
  const kinds = choose(values.precisions, precisions, "precisions");
  const folder = path.join(values.dir, `real-shape-${randomBytes(4).toString("hex")}`);
  await mkdir(folder, { recursive: true });
  const stop = () => {
    void rm(folder, { recursive: true, force: true }).then(() => process.exit(130));
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, stop);
  const rows: Row[] = [];
  try {
    for (const shape of wanted) {
      say(`writing ${shape}`);
      const checkpoint = path.join(folder, shape);
      const bytes = await writeRandomCheckpoint(checkpoint, shape);
      for (const precision of kinds) {
        rows.push(await measureArtifact(folder, shape, bytes, precision));
      }
      await rm(checkpoint, { recursive: true });
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  const device = deviceBytes();
  for (const line of [...costTable(rows), "", ...deviceTable(device)]) console.log(line);
  const report = { new_tokens: newTokens, rows, device };
  if (values.json === undefined) console.log(JSON.stringify(report));
  else await writeFile(values.json, `${JSON.stringify(report, null, 2)}\n`);
}

await main();
