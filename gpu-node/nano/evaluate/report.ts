// An evaluation as a table, for a terminal or a model card.

import type { Evaluation } from "./evaluate.ts";
import { answersGate, captionGates, kindGate } from "./gates.ts";
import type { CaptionScores } from "./score.ts";
import { ratio } from "./score.ts";

const names: Readonly<Record<keyof CaptionScores, string>> = {
  objectRecall: "object recall",
  objectPrecision: "object precision",
  colour: "colour right, given the noun",
  background: "background right",
  nounAndCount: "noun and count both right",
  wholeCaption: "whole caption right",
};

type Row = readonly [what: string, value: string, blind: string, gate: string, of: string];

function rowsOf({ captions, answers }: Evaluation): readonly Row[] {
  const figure = (value: number): string => value.toFixed(3);
  return [
    ...(Object.keys(names) as (keyof CaptionScores)[]).map((name): Row => {
      const gate = captionGates[name];
      return [
        names[name],
        figure(ratio(captions[name])),
        "",
        gate?.toFixed(2) ?? "",
        `${captions[name].of}`,
      ];
    }),
    ["answers right", figure(ratio(answers.all)), "", answersGate.toFixed(2), `${answers.all.of}`],
    ...answers.byKind.map((kind): Row => [
      `· ${kind.kind}`,
      figure(ratio(kind)),
      figure(kind.blind),
      kindGate(kind.blind).toFixed(2),
      `${kind.of}`,
    ]),
  ];
}

export function asMarkdown(evaluation: Evaluation): string {
  const head: Row = ["", "nano", "best blind guess", "gate", "of"];
  const line = (row: readonly string[]): string => `| ${row.join(" | ")} |`;
  return [
    line(head),
    line(head.map((_, at) => (at === 0 ? "---" : "---:"))),
    ...rowsOf(evaluation).map(line),
  ].join("\n");
}

export function asText(evaluation: Evaluation): string {
  const head: Row = [
    `${evaluation.scenes} scenes of seed ${evaluation.seed}, ${evaluation.styles.join(" and ")}`,
    "nano",
    "blind",
    "gate",
    "of",
  ];
  const rows = [head, ...rowsOf(evaluation)];
  const widths = head.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const failed = evaluation.gates.filter(({ passed }) => !passed);
  return [
    ...rows.map((row) =>
      row
        .map((cell, at) =>
          at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0),
        )
        .join("  "),
    ),
    "",
    failed.length === 0
      ? `all ${evaluation.gates.length} gates hold`
      : failed
          .map(
            ({ name, value, needed }) =>
              `gate missed: ${name} ${value.toFixed(3)}, needs ${needed.toFixed(3)}`,
          )
          .join("\n"),
  ].join("\n");
}
