// What an evaluation leaves behind: a JSON file with everything, a plot, and lines for people.
import { writeWhole } from "../../disk/write-whole.ts";
import { drawPlot, type Plot } from "../../evaluate/plot.ts";
import type { Estimate } from "../../evaluate/standard-error.ts";
import type { CliIo } from "../io.ts";

export interface Report {
  readonly format: "blip2-edge/evaluation/v1";
  readonly task: "captions" | "vqa" | "retrieval" | "search" | "labels";
  /** Null when the texts were made elsewhere. */
  readonly model: {
    readonly name: string;
    readonly model_revision: string;
    readonly family: string;
    readonly precision: string;
    readonly image_size: number;
  } | null;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly data: Readonly<Record<string, unknown>>;
  readonly scores: Readonly<Record<string, unknown>>;
  /** What a reader must know to compare. */
  readonly notes: readonly string[];
  readonly items: readonly unknown[];
}

export interface Finished {
  readonly report: Report;
  readonly plot: Plot;
  /** For people. */
  readonly lines: readonly string[];
}

export interface ReportFiles {
  readonly report: string | undefined;
  readonly plot: string | undefined;
  readonly json: boolean;
}

/** Errors: `usage` when a file cannot be written. */
export async function deliver(finished: Finished, to: ReportFiles, io: CliIo): Promise<void> {
  const { report, plot, lines } = finished;
  if (to.report !== undefined) await writeWhole(to.report, `${JSON.stringify(report, null, 1)}\n`);
  if (to.plot !== undefined) await writeWhole(to.plot, drawPlot(plot));
  if (to.json) {
    const { items: _, ...summary } = report;
    io.stdout(JSON.stringify(summary));
    return;
  }
  for (const line of lines) io.stdout(line);
  for (const note of report.notes) io.stdout(`note: ${note}`);
}

const digits = 4;
const rounded = (value: number): number => Number(value.toFixed(6));

/** As reports hold it. */
export const inReport = ({ value, standardError }: Estimate) => ({
  value: rounded(value),
  standard_error: rounded(standardError),
});

export const inWords = ({ value, standardError }: Estimate): string =>
  `${value.toFixed(digits)} ± ${standardError.toFixed(digits)}`;
