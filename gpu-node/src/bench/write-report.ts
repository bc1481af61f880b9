// A report as files: everything as JSON, tables for people, a plot.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { explainDiskError } from "../disk/explain-disk-error.ts";
import { writeWhole } from "../disk/write-whole.ts";
import { drawPlot } from "../evaluate/plot.ts";
import { claimsOf } from "./claims.ts";
import { plotReport } from "./draw-report.ts";
import { renderReport } from "./render-report.ts";
import { type BenchReport, inJson } from "./report.ts";

/** To be called before minutes of work are done for a folder that cannot be. Errors: `usage` that says why. */
export async function makeReportFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    throw explainDiskError(error, folder);
  }
}

export const reportJson = (report: BenchReport): unknown =>
  inJson({ ...report, claims: claimsOf(report) });

/** `name`.json, .md and .svg in `folder`. Errors: `usage` when a file cannot be written. */
export async function writeReport(
  folder: string,
  name: string,
  report: BenchReport,
): Promise<void> {
  const file = (ending: string): string => join(folder, `${name}.${ending}`);
  await writeWhole(file("json"), `${JSON.stringify(reportJson(report), null, 1)}\n`);
  await writeWhole(file("md"), `# ${report.artifact.name}\n\n${renderReport(report)}`);
  await writeWhole(file("svg"), drawPlot(plotReport(report)));
}
