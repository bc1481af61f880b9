// `npm run lab:bench -- --checkpoint DIR --artifact DIR --python PATH --out DIR`: `blip2 bench` of one artifact or
// several, each in a process of its own, and the reference implementation on their checkpoint, in one run. Needs a quiet machine and a Python with
// torch and transformers. Prints Markdown; JSON, Markdown and plots lie in the folder.
import { fork } from "node:child_process";
import { once } from "node:events";
import os from "node:os";
import path from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { renderReport } from "../../gpu-node/src/bench/render-report.ts";
import type { BenchReport, PeerRow } from "../../gpu-node/src/bench/report.ts";
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

/** Errors: one that names the artifact, of a bench that did not come to its end; it has said why itself. */
async function benchArtifact(artifact: string, flags: readonly string[]): Promise<BenchReport> {
  const script = path.resolve(import.meta.dirname, "bench-artifact.ts");
  const child = fork(script, ["--model", artifact, ...flags], { serialization: "advanced" });
  let report: BenchReport | undefined;
  child.on("message", (sent) => (report = sent as BenchReport));
  await once(child, "close");
  if (report === undefined) throw new Error(`the bench of ${artifact} ended without a report`);
  return report;
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
  // Read here too, so that a wrong flag is told before minutes of work.
  const io = { stdout: say, stderr: say, signal: new AbortController().signal };
  const settings = parseBenchSettings(["--model", "", ...further], io);
  await makeReportFolder(out);
  const reports: BenchReport[] = [];
  for (const [at, artifact] of artifacts.entries()) {
    say(`${artifact}: measuring`);
    // The first is soaked, the others stand beside it.
    const soak = at === 0 ? ["--soak-minutes", values["soak-minutes"]] : [];
    const report = await benchArtifact(artifact, [...soak, ...further]);
    reports.push(report);
    await writeReport(out, report.artifact.name, report); // what fails later takes nothing of it along
  }
  const peer: PeerRow[] = [];
  for (const dtype of peerTypes) {
    say(`transformers at ${dtype}`);
    const threads = settings.threads === 0 ? os.availableParallelism() : settings.threads;
    try {
      peer.push(...(await runPeer({ ...settings, python, checkpoint, dtype, threads })));
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
