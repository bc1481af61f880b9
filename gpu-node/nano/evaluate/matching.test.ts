import { expect, test } from "vitest";
import { openDrawings } from "../scenes/drawings.ts";
import { writeStatements } from "../scenes/exam.ts";
import { evaluateMatching, matchingAsMarkdown, scoreMatching } from "./matching.ts";

const options = { seed: 5, scenes: 30, parallel: 1 } as const;
const drawings = await openDrawings();

test("an oracle is always right, its opposite never, and a mute one passes no gate", async () => {
  const sat = writeStatements(options.seed, options.scenes, drawings.styles);
  const oracle = (yes: number, no: number) => {
    let scene = 0;
    return {
      match: (_: Uint8Array, texts: readonly string[]) => {
        const item = sat[scene++]?.statements;
        const truths = [item?.whole.text, item?.partial.text];
        const scores = texts.map((text) => (truths.includes(text) ? yes : no));
        return Promise.resolve(scores.map((score) => ({ itm: score, itc: score })));
      },
    };
  };
  const perfect = await evaluateMatching(oracle(0.9, 0.1), drawings, options);
  expect(perfect).toMatchObject({ balancedAccuracy: 1, ordered: { itm: 1, itc: 1 }, wrong: [] });
  expect(perfect.gates.every(({ passed }) => passed)).toBe(true);
  expect(matchingAsMarkdown(perfect)).toContain("| true: whole | 1.000 | 30 |");
  const liar = await evaluateMatching(oracle(0.1, 0.9), drawings, options);
  expect(liar).toMatchObject({ balancedAccuracy: 0, ordered: { itm: 0, itc: 0 } });
  const mute = await evaluateMatching(oracle(0.7, 0.7), drawings, options);
  expect(mute).toMatchObject({ balancedAccuracy: 0.5, ordered: { itm: 0.5, itc: 0.5 } });
  expect(mute.gates.some(({ passed }) => passed)).toBe(false);
});

test("shares are counted by kind, and order within one picture only", () => {
  const said = (scene: number, kind: "whole" | "count", itm: number) => ({
    scene,
    kind,
    text: "",
    itm,
    itc: itm,
  });
  const scores = scoreMatching([
    [said(0, "whole", 0.6), said(0, "count", 0.55), said(0, "count", 0.1)],
    [said(1, "whole", 0.4), said(1, "count", 0.3)],
  ]);
  expect(scores.byKind).toEqual([
    { kind: "whole", right: 1, of: 2 },
    { kind: "count", right: 2, of: 3 },
  ]);
  expect(scores.balancedAccuracy).toBeCloseTo((1 / 2 + 2 / 3) / 2);
  expect(scores.ordered.itm).toBe(1);
});
