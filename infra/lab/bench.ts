// `npm run lab:bench -- --checkpoint DIR --artifact DIR --python PATH --out DIR`: `blip2 bench` of one artifact or
// several, and the reference implementation on their checkpoint, in one run. Needs a quiet machine and a Python with
// torch and transformers. Prints Markdown; JSON, Markdown and plots lie in the folder.
import os from "node:os";
import process from "node:process";
import { parseArgs } from "node:util";
import { renderReport } from "../../gpu-node/src/bench/render-report.ts";
import type { BenchReport, PeerRow } from "../../gpu-node/src/bench/report.ts";
import { runBench } from "../../gpu-node/src/bench/run-bench.ts";
import { makeReportFolder, writeReport } from "../../gpu-node/src/bench/write-report.ts";
import { parseBenchSettings } from "../../gpu-node/src/cli/bench.ts";
import { peerTypes, runPeer } from "./transformers-peer.ts";

const usage =
  "usage: npm run lab:bench -- --checkpoint DIR --artifact DIR [--artifact DIR]... --python PATH --out DIR [--soak-minutes N] [-- BENCH-FLAG...]";
const say = (line: string): void => void process.stderr.write(`${line}\n`);

const [own, further] = splitAt(process.argv.slice(2), "--");
const { values } = parseArgs({
  args: own,
  options: {
    checkpoint: { type: "string" },
    artifact: { type: "string", multiple: true, default: [] },
    python: { type: "string" },
    out: { type: "string" },
    "soak-minutes": { type: "string", default: "0" },
  },
});

function splitAt(all: readonly string[], mark: string): [before: string[], after: string[]] {
  const at = all.indexOf(mark);
  return at < 0 ? [[...all], []] : [all.slice(0, at), all.slice(at + 1)];
}

async function main(): Promise<void> {
  const { checkpoint, artifact: artifacts, python, out } = values;
  if (
    checkpoint === undefined ||
    python === undefined ||
    out === undefined ||
    artifacts.length === 0
  ) {
    console.error(usage);
    process.exitCode = 2;
    return;
  }
  const interrupt = new AbortController();
  process.once("SIGINT", () => interrupt.abort());
  // The first is soaked, the others stand beside it.
  const settings = artifacts.map((artifact, at) =>
    parseBenchSettings(
      ["--model", artifact, "--soak-minutes", at === 0 ? values["soak-minutes"] : "0", ...further],
      { stdout: console.log, stderr: say, signal: interrupt.signal, env: process.env },
    ),
  );
  await makeReportFolder(out);
  const reports: BenchReport[] = [];
  for (const each of settings) {
    say(`${each.artifact}: measuring`);
    const report = await runBench(each);
    reports.push(report);
    await writeReport(out, report.artifact.name, report); // what fails later takes nothing of it along
  }
  const [first] = settings;
  if (first === undefined) return;
  const peer: PeerRow[] = [];
  for (const dtype of peerTypes) {
    say(`transformers at ${dtype}`);
    const threads = first.threads === 0 ? os.availableParallelism() : first.threads;
    try {
      peer.push(...(await runPeer({ ...first, python, checkpoint, dtype, threads })));
    } catch (error) {
      // It may be too large for this machine; what was measured is not lost with it.
      say(`transformers at ${dtype}: ${error instanceof Error ? error.message : String(error)}`);
      process.exitCode = 1;
    }
  }
  for (const report of reports) {
    const whole = peer.length === 0 ? report : { ...report, peer };
    await writeReport(out, report.artifact.name, whole);
    console.log(`## ${report.artifact.name}\n\n${renderReport(whole)}`);
  }
}

await main();
