// The tables and the drawing of a plan, as text and SVG.
import { drawLines } from "../../gpu-node/src/evaluate/line-plot.ts";
import type { CostRow } from "./cost.ts";
import type { SimulationReport } from "./simulation-report.ts";

const percent = (share: number): string => `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
const money = (amount: number): string =>
  Math.round(amount).toLocaleString("en", { useGrouping: true });
const figure = (value: number): string => Number(value.toPrecision(3)).toLocaleString("en");

function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---:")), ...rows.map(line)].join("\n");
}

export const costTable = (rows: readonly CostRow[]): string =>
  tableOf(
    [
      "requests/s",
      "found",
      "calls of nodes/s",
      "nodes",
      "edge a month",
      "boxes a month",
      "together",
      "per 1,000",
      "most of the edge",
    ],
    rows.map((row) => [
      figure(row.perS),
      percent(row.hitRate),
      figure(row.callsPerS),
      row.nodes.toLocaleString("en"),
      money(row.edge),
      money(row.boxes),
      money(row.total),
      row.perThousand.toPrecision(2),
      row.dearest.replaceAll("_", " "),
    ]),
  );

export function reportTable(reports: readonly (readonly [string, SimulationReport])[]): string {
  const ms = (value: number): string => `${Math.round(value)}`;
  return tableOf(
    ["", "answered/s", "found", "p50, ms", "p95, ms", "p99, ms", "failed", "busiest node"],
    reports.map(([name, report]) => [
      name,
      figure(report.perS),
      percent(report.hitRate),
      ms(report.latencyMs.p50),
      ms(report.latencyMs.p95),
      ms(report.latencyMs.p99),
      Object.entries(report.failed)
        .map(([code, count]) => `${count} ${code}`)
        .join(", ") || "0",
      percent(Math.max(...report.busy)),
    ]),
  );
}

export const drawCosts = (rows: readonly CostRow[], subtitle: string): string => {
  const line = (name: string, of: (row: CostRow) => number) => ({
    name,
    points: rows.map((row) => ({ x: row.perS, y: of(row) })),
  });
  return drawLines({
    title: "What requests cost",
    subtitle,
    charts: [
      {
        title: "A month, by requests a second",
        lines: [
          line("together", ({ total }) => total),
          line("boxes", ({ boxes }) => boxes),
          line("Cloudflare", ({ edge }) => edge),
        ],
      },
      { title: "Nodes", lines: [line("nodes", ({ nodes }) => nodes)] },
    ],
  });
};
