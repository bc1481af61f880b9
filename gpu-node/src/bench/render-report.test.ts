import { expect, test } from "vitest";
import { benchReport } from "../../../test/support/bench-report.ts";
import { drawPlot } from "../evaluate/plot.ts";
import { plotReport } from "./draw-report.ts";
import { renderReport } from "./render-report.ts";
import { inJson } from "./report.ts";
import { reportJson } from "./write-report.ts";

const cells = (line: string): string[] =>
  line
    .split("|")
    .map((cell) => cell.trim())
    .slice(1, -1);
const rowOf = (text: string, first: string): string[] => {
  const rows = text.split("\n").map(cells);
  const row =
    rows.find(([cell]) => cell === first) ?? rows.find(([cell]) => cell?.startsWith(first));
  if (row === undefined) throw new Error(`no row ${first}`);
  return row;
};

test("every absolute time has its limit and their ratio beside it", () => {
  const text = renderReport(benchReport);
  expect(rowOf(text, "vision")).toEqual(
    ["vision", "1", "2000", "1600", "80.0 %", "90.0 %", "400", "500", "250", "600", "0.300"].map(
      String,
    ),
  );
  expect(rowOf(text, "decoding 16")).toEqual([
    "decoding 16 captions at once against one after another",
    "2.00 times",
    "≥ 1.70 times",
    "yes",
  ]);
  expect(rowOf(text, "growth of RSS").slice(1)).toEqual(["–", "≤ 2.00 %", "not measured"]);
  expect(rowOf(text, "fp32 MatMul")).toEqual(["fp32 MatMul", "257 × 1408 × 6144", "88.9", "0.692"]);
  expect(rowOf(text, "16")).toEqual(
    ["16", "32", "0.500", "12.5", "2.50", "30000", "60000", "9000", "2"].map(String),
  );
  expect(text).toContain("threads: the physical cores");
  expect(text).not.toContain("busy");
  expect(text).not.toMatch(/NaN|undefined/);
});

test("all rows of a table are as wide as its head", () => {
  const tables = renderReport({
    ...benchReport,
    peer: [{ dtype: "float32", images: 1, newTokens: 12, visionSeconds: 2, captionSeconds: 8 }],
  })
    .split("\n\n")
    .filter((block) => block.startsWith("|"));
  expect(tables.length).toBe(6);
  for (const table of tables) {
    const widths = table.split("\n").map((line) => cells(line).length);
    expect(new Set(widths).size).toBe(1);
  }
});

test("a busy machine is named in the report", () => {
  const machine = { ...benchReport.machine, loadAverage: 3, busy: true };
  expect(renderReport({ ...benchReport, machine })).toContain("The machine was busy");
});

test("a soak and a peer are reported where there were any", () => {
  const soak = {
    minutes: 20,
    requests: 1234,
    refusals: 1,
    settledAfterSeconds: 120,
    growth: 0.01,
    curve: [],
  };
  const peer = [
    { dtype: "bfloat16", images: 1, newTokens: 12, visionSeconds: 2, captionSeconds: 10 },
  ];
  const text = renderReport({ ...benchReport, soak, peer });
  expect(text).toContain("1234 requests in 20 minutes, RSS grew by 1.00 %");
  expect(rowOf(text, "bfloat16")).toEqual(["bfloat16", "1", "12", "2.00", "10.0", "2.50"]);
});

test("JSON has names in snake_case, null for what is no number, and the claims", () => {
  expect(inJson({ aBigName: [{ innerOne: NaN }, 1 / 3], text: "asIs" })).toEqual({
    a_big_name: [{ inner_one: null }, 0.333333],
    text: "asIs",
  });
  const json = reportJson(benchReport) as { claims: { what: string }[]; load: object };
  expect(json.claims.length).toBeGreaterThan(10);
  expect(json.load).toMatchObject({ event_loop_lag_ms: { p99_ms: 4 }, health_ms: { p99: 6 } });
});

test("the plot shows every stage, level and caption", () => {
  const svg = drawPlot(plotReport(benchReport));
  for (const words of ["vision, 1 at a time", "80 %", "12.5", "int4, 8", "24.0"]) {
    expect(svg).toContain(words);
  }
  expect(svg).not.toMatch(/NaN|undefined/);
});
